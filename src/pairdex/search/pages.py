"""A page of results: a slice of a ranking, with near-duplicates folded if requested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex.knn import cosine
from pairdex.search.folding import fold
from pairdex.search.ranking import Ranking
from pairdex.store.vectors_view import VectorsView

__all__ = ["Page", "read_page"]


@dataclass(frozen=True)
class Page:
    """Ranked rows, shape (n,), and the search report.

    `folded` holds the ids folded into each row. It is None if folding is off.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]
    report: cosine.Report
    folded: dict[int, list[int]] | None = None


def read_page(
    ranking: Ranking, view: VectorsView, *, k: int, offset: int, threshold: float | None
) -> Page:
    """Return up to k rows of a ranking after the first `offset`.

    Parameters
    ----------
    view
        The vectors to compare when detecting near-duplicates.
    threshold
        Fold a row into an earlier one within this cosine distance. None turns folding off.
    """
    if threshold is None:
        found = ranking.first(k + offset)
        return Page(found.ids[offset:], found.distances[offset:], found.report)
    folded = fold(lambda n: ranking.first(n).ids, view, k + offset, threshold)
    found = ranking.first(int(folded.places.max(initial=0)) + 1)
    places = folded.places[offset:]
    ids = found.ids[places]
    inside = dict(zip(ids.tolist(), folded.inside[offset:], strict=True))
    return Page(ids, found.distances[places], found.report, inside)
