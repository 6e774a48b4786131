"""Lazy rankings of rows for a query, by vectors or by vectors and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.derived.lookups.words import Keywords
from pairdex.knn import cosine
from pairdex.search.caption_words import fuse_captions
from pairdex.search.hybrid import KEYWORD_DEPTH, VECTOR_DEPTH, fuse
from pairdex.search.neighbours import distances_between
from pairdex.search.report import SearchReport
from pairdex.store.store import Store, VectorField

__all__ = ["CaptionHybrid", "Hybrid", "Nearest", "Ranked", "Ranking", "distances_to"]

Nearest = Callable[[int, "NDArray[np.bool_] | None"], cosine.Neighbours]
"""Returns the n nearest rows (1, n) of a query, limited to flagged rows if flags are given."""


@dataclass(frozen=True)
class Ranked:
    """The first rows of a ranking, shape (n,), and the search report.

    `why` holds columns of hits, shape (n,), that explain the order.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]
    report: SearchReport
    why: Mapping[str, pa.Array] = field(default_factory=dict)

    def taken(self, places: NDArray[np.int64]) -> Ranked:
        """Return the rows at these places."""
        why = {name: column.take(pa.array(places)) for name, column in self.why.items()}
        return Ranked(self.ids[places], self.distances[places], self.report, why)


class Ranking:
    """Ranks rows by their vectors, leaving out the rows that the query names."""

    def __init__(
        self, nearest: Nearest, without: NDArray[np.int64], *, note: str | None = None
    ) -> None:
        self._nearest = nearest
        self._without = without
        self._note = note
        self._known: tuple[int, Ranked] | None = None  # requested, and found

    def first(self, count: int) -> Ranked:
        """Return up to `count` rows; reuse earlier results if they suffice."""
        if self._known is None or self._known[0] < count:
            self._known = (count, self._found(count))
        found = self._known[1]
        return found.taken(np.arange(min(count, len(found.ids))))

    def _found(self, count: int) -> Ranked:
        return self._others(self._nearest(count + len(self._without), None), count)

    def _others(self, found: cosine.Neighbours, count: int) -> Ranked:
        keep = (found.ids[0] >= 0) & ~np.isin(found.ids[0], self._without)
        ids, distances = found.ids[0, keep][:count], found.distances[0, keep][:count]
        return Ranked(ids, distances, SearchReport.of(found.report, note=self._note))


class Hybrid(Ranking):
    """Ranks rows by vectors and caption words. Phrases and excluded words filter rows."""

    def __init__(
        self,
        nearest: Nearest,
        without: NDArray[np.int64],
        *,
        index: KeywordIndex,
        keywords: Keywords,
        allowed: NDArray[np.bool_] | None,
        distances: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    ) -> None:
        super().__init__(nearest, without)
        self._index = index
        self._keywords = keywords
        self._distances = distances
        self._allowed = allowed
        self._restriction: NDArray[np.bool_] | None = None
        if keywords.is_strict:
            matching = index.matching(keywords)
            self._restriction = matching if allowed is None else matching & allowed
            self._allowed = self._restriction

    def _found(self, count: int) -> Ranked:
        left_out = len(self._without)
        vector_ranks, keyword_ranks = max(VECTOR_DEPTH, count), max(KEYWORD_DEPTH, count)
        found = self._nearest(vector_ranks + left_out, self._restriction)
        near = self._others(found, vector_ranks).ids
        said = self._index.rank(self._keywords, keyword_ranks + left_out, self._allowed)
        fused = fuse(near, said[~np.isin(said, self._without)]).first(count)
        report = SearchReport.of(found.report, "hybrid", self._keywords.words)
        return Ranked(fused.ids, self._distances(fused.ids), report, fused.columns())


class CaptionHybrid(Ranking):
    """Ranks rows by vectors and by captions that contain the words of the query's text.

    Parameters
    ----------
    among
        Shape (rows,), the rows that may be found and whose captions contain the words.
    """

    def __init__(
        self,
        nearest: Nearest,
        without: NDArray[np.int64],
        *,
        words: tuple[str, ...],
        among: NDArray[np.bool_],
    ) -> None:
        super().__init__(nearest, without)
        self._words = words
        self._among = among

    def _found(self, count: int) -> Ranked:
        near = super()._found(max(VECTOR_DEPTH, count))
        fused, distances = fuse_captions(
            near.ids, near.distances, self._among, self._nearest, count
        )
        report = replace(near.report, method="hybrid", words=self._words, certified=False)
        report = report.with_missing(fused.missing)
        return Ranked(fused.ids, distances, report, fused.columns())


def distances_to(
    store: Store, on: VectorField, vector: NDArray[np.float32]
) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Return a function from rows to their distances (n,) from a vector."""
    return lambda ids: distances_between(store, on, vector, ids)
