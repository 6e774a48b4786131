"""Merges the nearest rows that were found in consecutive shards of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Merging"]


class Merging:
    """The k nearest rows of each query in the shards so far, equal distances by smaller id.

    Attributes
    ----------
    ids, distances
        Shape (n, k): int64 and float64; -1 and infinity where fewer than k rows were found.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.ids = np.full((queries, k), -1, np.int64)
        self.distances = np.full((queries, k), np.inf)

    @property
    def limits(self) -> NDArray[np.float64]:
        """The largest distance of a row that can still be among the k nearest of each query, (n,)."""
        return self.distances[:, -1]

    def add(self, ids: NDArray[np.int64], distances: NDArray[np.float64], first: int) -> None:
        """Add what was found in the next shard, nearest first.

        Parameters
        ----------
        ids, distances
            Shape (n, k). Ids count from 0 in the shard; -1 is no row.
        first
            The id of the shard's first row. It exceeds all ids so far, so equal distances stay in order.
        """
        k = self.ids.shape[1]
        both = np.concatenate([self.distances, distances], axis=1)
        order = np.argsort(both, axis=1, kind="stable")[:, :k]
        moved = np.concatenate([self.ids, np.where(ids < 0, -1, ids + first)], axis=1)
        self.ids = np.take_along_axis(moved, order, axis=1)
        self.distances = np.take_along_axis(both, order, axis=1)
