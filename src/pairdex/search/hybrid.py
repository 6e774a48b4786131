"""Two rankings of the same rows as one: by vectors and by words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["HYBRID_DEPTH", "RRF_K", "fuse"]

RRF_K = (
    60  # Cormack, Clarke and Buettcher, Reciprocal Rank Fusion outperforms Condorcet (SIGIR 2009)
)
HYBRID_DEPTH = 1_000  # of each ranking that are fused, at least: the first pages then fit together


def fuse(rankings: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the ids of all rankings by the sum of 1 / (RRF_K + rank), the largest first.

    Parameters
    ----------
    rankings
        Each the ids of different rows, the best first: its rank is 1. What a ranking has not adds
        nothing.

    Returns
    -------
    NDArray[np.int64]
        Equal sums are ordered as in the first ranking, then by smaller id.

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
