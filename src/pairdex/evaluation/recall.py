"""Recall at k: which share of the true neighbours was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pairdex.reference.read_gold import Gold

__all__ = ["found_true", "found_true_or_tied", "shared"]

_BLOCK = 1_000  # queries compared together


def found_true(ids: NDArray[np.int64], gold: Gold, k: int) -> NDArray[np.int64]:
    """Count the gold standard's k nearest among the first k found, for each query.

    Recall@k is their sum over n * k, as SISAP's evaluation computes it.

    Parameters
    ----------
    ids
        (n, any) int64, 0-based; -1 is no row. A row found twice counts once.

    Returns
    -------
    NDArray[np.int64], shape (n,)
        From 0 to k.
    """
    return shared(ids[:, :k], gold.ids[:, :k])


def found_true_or_tied(ids: NDArray[np.int64], gold: Gold, k: int) -> NDArray[np.int64]:
    """Count as `found_true` does, and rows that are exactly as far as the k-th.

    Ties are seen as far as the gold standard reaches: one of just k neighbours shows none.
    """
    is_near = gold.distances <= gold.distances[:, k - 1 : k]
    width = int(is_near.sum(axis=1).max(initial=0))  # distances ascend: these come first
    # A query of k found rows cannot have more than k right ones, however many are tied.
    return shared(ids[:, :k], np.where(is_near, gold.ids, -1)[:, :width])


def shared(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the distinct ids that two rows (n, a) and (n, b) have in common; -1 is none.

    Examples
    --------
    >>> shared(np.array([[4, 4, 7, -1]]), np.array([[7, 4, -1]])).tolist()
    [2]
    """
    counts = np.zeros(len(found), np.int64)
    stride = 1 + max(found.max(initial=0), wanted.max(initial=0))
    for first in range(0, len(found), _BLOCK):
        a, b = (_keys(ids[first : first + _BLOCK], stride) for ids in (found, wanted))
        both = np.intersect1d(a, b, assume_unique=True)
        rows = np.bincount(both // stride, minlength=_BLOCK)
        counts[first : first + _BLOCK] = rows[: len(counts) - first]
    return counts


def _keys(ids: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """Return the distinct pairs of row and id as one number each."""
    keys = np.arange(len(ids))[:, None] * stride + ids
    return np.unique(keys[ids >= 0])
