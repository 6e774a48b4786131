"""Fuse two rankings of the same rows: by vectors and by words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["KEYWORD_DEPTH", "RRF_K", "VECTOR_DEPTH", "Fused", "fuse", "ranks_of", "scores_of"]

RRF_K = (
    60  # Cormack, Clarke and Buettcher, Reciprocal Rank Fusion outperforms Condorcet (SIGIR 2009)
)
KEYWORD_DEPTH = 1_000  # least number of keyword ranks, so that the first pages are consistent
# Vector ranks that count. Indexes are tuned for 100 neighbours, and a query may name some of them.
VECTOR_DEPTH = 90


@dataclass(frozen=True)
class Fused:
    """Two fused rankings, shape (n,), best first.

    Attributes
    ----------
    scores
        The sums that order the rows.
    vector_ranks, keyword_ranks
        The rank of each row in the two rankings, from 1; 0 if the ranking lacks the row.
    missing
        The shards that did not answer for one of the rankings; see `cosine.Report`.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    vector_ranks: NDArray[np.int64]
    keyword_ranks: NDArray[np.int64]
    missing: tuple[str, ...] = ()

    def first(self, count: int) -> Fused:
        """Return the first `count` rows."""
        return Fused(
            self.ids[:count],
            self.scores[:count],
            self.vector_ranks[:count],
            self.keyword_ranks[:count],
            self.missing,
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
        ranking gets nothing from it. Ranks in `near` beyond VECTOR_DEPTH count only for ids absent from
        `said`, so that scores do not depend on the length of `near`.

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
    vector, keyword = ranks_of(ids, near, said)
    scores = scores_of(vector) + scores_of(keyword)
    place = np.where(vector > 0, vector, len(ids) + 1)
    order = np.lexsort([ids, place, -scores])
    return Fused(ids[order], scores[order], vector[order], keyword[order])


def ranks_of(
    ids: NDArray[np.int64], near: NDArray[np.int64], said: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the vector and keyword ranks that count of sorted ids, shape (n,); 0 for none; see `fuse`."""
    vector, keyword = (_places(ids, ranking) for ranking in (near, said))
    counts = (keyword == 0) | (vector <= VECTOR_DEPTH)
    return np.where(counts, vector, 0), keyword


def _places(ids: NDArray[np.int64], ranking: NDArray[np.int64]) -> NDArray[np.int64]:
    ranks = np.zeros(len(ids), np.int64)
    ranks[np.searchsorted(ids, ranking)] = 1 + np.arange(len(ranking))
    return ranks


def scores_of(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what each rank adds to a fused score; rank 0 adds nothing."""
    return np.where(ranks > 0, 1 / (RRF_K + ranks), 0)


def _ranks(ranks: NDArray[np.int64]) -> pa.Array:
    return pa.array(ranks, pa.int64(), mask=ranks == 0)
