"""Searches that arrive at the same time are encoded and searched in batches.

The searches of a batch have these in common: the version of the collection; what is searched (`on`); the
filter; and the number of neighbours within a factor of two, since each batch searches for its largest.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.knn import cosine
from pairdex.knn.distance import similarity
from pairdex.search import Query, SearchOptions, SearchReport, as_hit
from pairdex.search.hybrid import VECTOR_DEPTH
from pairdex.service import limits
from pairdex.service.batches import Batches
from pairdex.service.catalogue import ServedCollection
from pairdex.service.metrics import Metrics
from pairdex.service.search_result import SearchResult
from pairdex.service.texts import ReadText, Texts
from pairdex.service.workers import Workers

__all__ = ["Searches"]

_LEAST_K = 32  # searches for fewer neighbours share a batch: it costs them nothing


@dataclass(frozen=True)
class _Wanted:
    """One search of a batch."""

    vector: NDArray[np.float32]
    k: int
    offset: int
    without: NDArray[np.int64]
    words: tuple[str, ...] = ()
    note: str | None = None

    @property
    def neighbours(self) -> int:
        """Number of neighbours to find, so that k are left."""
        enough = self.k + self.offset + len(self.without)
        return max(enough, VECTOR_DEPTH) if self.words else enough


@dataclass(frozen=True)
class _Key:
    """The properties that the searches of a batch share."""

    served: ServedCollection
    on: str
    where: str | None
    exact: bool
    is_partial: bool
    k_class: int


class Searches:
    """The batches in progress, and the texts that were read."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers = workers
        self._metrics = metrics
        self._searching: dict[_Key, Batches[_Wanted, SearchResult]] = {}
        self._texts = Texts(workers, metrics)

    async def find(
        self,
        served: ServedCollection,
        query: Query,
        *,
        on: str,
        where: str | None,
        k: int,
        offset: int,
        exact: bool = False,
        hybrid: bool = False,
        is_partial: bool = False,
    ) -> SearchResult:
        """Return the hits that `Collection.search` finds.

        Parameters
        ----------
        hybrid
            Also rank a text by captions that contain its words.
        is_partial
            Answer although shards of a cluster are missing.

        Raises
        ------
        PairdexError
            A value of the query cannot be used.
        ApiError
            503, the time limit has passed.
        """
        read = await self._read(served, query, wants_words=hybrid)
        words, note = _words(read, query.only_text if hybrid else None)
        vector = served.collection.query_vector(query, on=on, encoder=_Encoded(read))
        wanted = _Wanted(vector, k, offset, query.rows, words, note)
        k_class = max(_LEAST_K, 1 << (wanted.neighbours - 1).bit_length())
        key = _Key(served, on, where, exact, is_partial, k_class)
        batches = self._searching.get(key)
        if batches is None:
            self._forget_idle()
            batches = self._searching[key] = Batches(
                "search",
                partial(self._search, key),
                pool=self._workers.pool,
                metrics=self._metrics,
                max_items=limits.MAX_BATCH,
            )
        return await batches.run(wanted)

    async def _read(
        self, served: ServedCollection, query: Query, *, wants_words: bool
    ) -> dict[str, ReadText]:
        """Return all texts of a query as the search needs them; the words of a text that is alone."""
        asked = _texts(query)
        if not asked:
            return {}
        alone = wants_words and query.only_text is not None
        reading = [self._texts.read(served, *one, wants_words=alone) for one in asked]
        read = [await reading[0]] if len(reading) == 1 else await asyncio.gather(*reading)
        return {text: one for (text, _), one in zip(asked, read, strict=True)}

    def _search(self, key: _Key, batch: list[_Wanted]) -> list[SearchResult]:
        started = time.perf_counter()
        collection = key.served.collection
        k = max(wanted.neighbours for wanted in batch)
        vectors = np.stack([wanted.vector for wanted in batch])
        if key.is_partial:
            options = SearchOptions(k, on=key.on, where=key.where, exact=key.exact, partial=True)
            found = collection.finder.nearest(vectors, options)
        else:
            found = collection.nearest(vectors, k, on=key.on, where=key.where, exact=key.exact)
        searched = time.perf_counter()
        self._metrics.stage("search", searched - started)
        rows = zip(batch, found.ids, found.distances, strict=True)
        results = [
            _result(key, wanted, ids, distances, found.report.of_query(number))
            for number, (wanted, ids, distances) in enumerate(rows)
        ]
        self._metrics.stage("metadata", time.perf_counter() - searched)
        return results

    def keep_only(self, served: set[ServedCollection]) -> None:
        """Drop batches of replaced versions; those in progress finish."""
        self._searching = {k: b for k, b in self._searching.items() if k.served in served}
        self._texts.keep_only(served)

    def _forget_idle(self) -> None:
        """Drop idle batches: the number of different filters is unlimited."""
        if len(self._searching) > limits.KEPT_BATCHES:
            self._searching = {k: b for k, b in self._searching.items() if not b.is_idle}


class _Encoded:
    """An encoder of texts whose vectors are known already."""

    def __init__(self, texts: dict[str, ReadText]) -> None:
        self._texts = texts

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        return np.stack([self._texts[text].vector for text in texts])

    def encode_images(self, images: list[Any]) -> NDArray[np.float32]:
        raise AssertionError(f"{len(images)} pictures were not encoded before")


def _texts(query: Query) -> list[tuple[str, str]]:
    """Return the texts to encode, each with its field of the request."""
    both = [(query.text, "text"), (query.unlike, "unlike")]
    both += [(term.text, "terms") for term in query.terms or ()]
    return [(text, field) for text, field in both if text is not None]


def _words(read: dict[str, ReadText], text: str | None) -> tuple[tuple[str, ...], str | None]:
    """Return the words of a text that choose captions, and why there are none; without a text none."""
    return ((), None) if text is None else (read[text].words or (), read[text].note)


def _result(
    key: _Key,
    wanted: _Wanted,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    report: cosine.Report,
) -> SearchResult:
    """Return k rows after the offset, without rows removed in the meantime."""
    keep = ids >= 0
    for row_id in wanted.without:
        keep &= ids != row_id
    near = ids[keep], distances[keep]
    page = slice(wanted.offset, wanted.offset + wanted.k)
    if not wanted.words:
        facts = SearchReport.of(report, note=wanted.note)
        return SearchResult(_hits(key.served, near[0][page], near[1][page]), facts)
    finder = key.served.collection.finder
    fused, distances = finder.fuse_captions(
        *near,
        wanted.words,
        wanted.vector,
        wanted.offset + wanted.k,
        on=key.on,
        where=key.where,
        partial=key.is_partial,
    )
    why = fused.rows()[page]
    facts = SearchReport.of(report, "hybrid", wanted.words).with_missing(fused.missing)
    return SearchResult(_hits(key.served, fused.ids[page], distances[page], why), facts)


def _hits(
    served: ServedCollection,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    why: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    live = served.collection.live
    rows = np.arange(len(ids)) if live is None else np.flatnonzero(live[ids])
    row_ids = ids[rows].tolist()
    columns = served.collection.values(row_ids)
    reasons = [{}] * len(rows) if why is None else [why[row] for row in rows]
    near = distances[rows]
    similar = similarity(served.collection.metric, near)
    return list(map(as_hit, row_ids, near.tolist(), similar.tolist(), columns, reasons))
