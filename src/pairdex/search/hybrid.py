"""Fuse two rankings of the same rows: by vectors and by words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["HYBRID_DEPTH", "RRF_K", "Fused", "fuse"]

RRF_K = (
    60  # Cormack, Clarke and Buettcher, Reciprocal Rank Fusion outperforms Condorcet (SIGIR 2009)
)
HYBRID_DEPTH = 1_000  # minimum depth to fuse, so that the first pages are consistent


@dataclass(frozen=True)
class Fused:
    """Two fused rankings, shape (n,), best first.

    Attributes
    ----------
    scores
        The sums that order the rows.
    vector_ranks, keyword_ranks
        The rank of each row in the two rankings, from 1; 0 if the ranking lacks the row.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    vector_ranks: NDArray[np.int64]
    keyword_ranks: NDArray[np.int64]

    def first(self, count: int) -> Fused:
        """Return the first `count` rows."""
        return Fused(
            self.ids[:count],
            self.scores[:count],
            self.vector_ranks[:count],
            self.keyword_ranks[:count],
        )

    def columns(self) -> dict[str, pa.Array]:
        """Return the columns of hits that explain the order."""
        return {
            "fused_score": pa.array(self.scores, pa.float64()),
            "vector_rank": _ranks(self.vector_ranks),
            "keyword_rank": _ranks(self.keyword_ranks),
        }

    def rows(self) -> list[dict[str, float | int | None]]:
        """Return the same for each row, as JSON values."""
        columns = (self.scores, self.vector_ranks, self.keyword_ranks)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            {"fused_score": score, "vector_rank": vector or None, "keyword_rank": keyword or None}
            for score, vector, keyword in rows
        ]


def fuse(near: NDArray[np.int64], said: NDArray[np.int64]) -> Fused:
    """Fuse a ranking by vectors with one by words: descending sum of 1 / (RRF_K + rank).

    Parameters
    ----------
    near, said
        Each ranking lists distinct row ids, best first, with ranks from 1. An id absent from a
        ranking gets nothing from it.

    Returns
    -------
    Fused
        Equal sums follow the order of `near`, then the smaller id.

    Examples
    --------
    >>> fuse(np.array([7, 8, 9]), np.array([9, 7])).ids.tolist()
    [7, 9, 8]
    """
    ids = np.unique(np.concatenate([near, said]))
    ranks = []
    sums = np.zeros(len(ids))
    for ranking in (near, said):
        rank = np.zeros(len(ids), np.int64)
        rank[np.searchsorted(ids, ranking)] = 1 + np.arange(len(ranking))
        sums += np.where(rank > 0, 1 / (RRF_K + rank), 0)
        ranks.append(rank)
    place = np.where(ranks[0] > 0, ranks[0], len(ids) + 1)
    order = np.lexsort([ids, place, -sums])
    return Fused(ids[order], sums[order], ranks[0][order], ranks[1][order])


def _ranks(ranks: NDArray[np.int64]) -> pa.Array:
    return pa.array(ranks, pa.int64(), mask=ranks == 0)
