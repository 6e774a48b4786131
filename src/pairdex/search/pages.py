"""A page of results: some rows of a ranking, where wanted with near-duplicates folded."""

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
    """Rows in the order of their ranking, shape (n,), and how they were found.

    `folded` holds the ids that were folded into each row; None where nothing was to be folded.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]
    report: cosine.Report
    folded: dict[int, list[int]] | None = None


def read_page(
    ranking: Ranking, view: VectorsView, *, k: int, offset: int, threshold: float | None
) -> Page:
    """Return the k rows of a ranking after the first `offset`, fewer where it ends.

    Parameters
    ----------
    view
        The vectors that decide whether rows are near-duplicates.
    threshold
        The cosine distance within which a row is folded into an earlier one; None folds nothing.
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
