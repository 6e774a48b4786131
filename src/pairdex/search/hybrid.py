"""Fuse two rankings of the same rows: by vectors and by words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["HYBRID_DEPTH", "RRF_K", "fuse"]

RRF_K = (
    60  # Cormack, Clarke and Buettcher, Reciprocal Rank Fusion outperforms Condorcet (SIGIR 2009)
)
HYBRID_DEPTH = 1_000  # minimum depth to fuse, so that the first pages are consistent


def fuse(rankings: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the ids of all rankings, sorted by descending sum of 1 / (RRF_K + rank).

    Parameters
    ----------
    rankings
        Each ranking lists distinct row ids, best first, with ranks from 1. An id absent from a
        ranking gets nothing from it.

    Returns
    -------
    NDArray[np.int64]
        Equal sums follow the order of the first ranking, then the smaller id.

    Examples
    --------
    >>> fuse([np.array([7, 8, 9]), np.array([9, 7])]).tolist()
    [7, 9, 8]
    """
    ids = np.unique(np.concatenate(rankings))
    sums = np.zeros(len(ids))
    for ranking in rankings:
        sums[np.searchsorted(ids, ranking)] += 1 / (RRF_K + 1 + np.arange(len(ranking)))
    place = np.full(len(ids), len(ids))
    place[np.searchsorted(ids, rankings[0])] = np.arange(len(rankings[0]))
    return ids[np.lexsort([ids, place, -sums])]
