"""The lists of a join: centroids of small codes, by k-means on a sample."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_centroids", "list_count", "sample_count"]

_SAMPLE_PER_LIST = 48
_LEAST_PER_LIST, _SAMPLE_OF_MANY = 16, 1 << 16  # of many lists, fewer suffice
_ROUNDS, _ROUNDS_OF_MANY = 8, 4
_MANY = 2_048
# Of the number of rows. Half as many suit many near-duplicates better, few worse.
_LISTS_PER_ROOT = 0.25
_LEAST, _MOST = 16, 1 << 16
_BLOCK_ROWS = 8_192
_SEED = 20220331


def list_count(rows: int) -> int:
    """Return how many lists a join of that many rows uses."""
    return min(max(_LEAST, round(_LISTS_PER_ROOT * math.sqrt(rows))), _MOST)


def sample_count(lists: int) -> int:
    """Return how many codes k-means should see."""
    return min(_SAMPLE_PER_LIST * lists, max(_LEAST_PER_LIST * lists, _SAMPLE_OF_MANY))


def fit_centroids(codes: NDArray[np.int8], lists: int) -> NDArray[np.int8]:
    """Return up to `lists` centroids (k, 64) of a sample of codes (n, 64).

    Any centroids give a correct join. The same sample gives the same ones.
    """
    sample = codes.astype(np.float32)
    rng = np.random.default_rng(_SEED)
    centroids = sample[rng.permutation(len(sample))[:lists]]
    for _ in range(_ROUNDS if lists <= _MANY else _ROUNDS_OF_MANY):
        nearest = _assign(sample, centroids)
        order = np.argsort(nearest, kind="stable")
        present, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        sizes = np.diff(np.append(starts, len(sample)))
        centroids[present] = sums / sizes[:, None]
    return np.clip(np.rint(centroids), -127, 127).astype(np.int8)


def _assign(sample: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    halves = np.square(centroids).sum(axis=1) / 2
    nearest = np.empty(len(sample), np.int64)
    for first in range(0, len(sample), _BLOCK_ROWS):
        block = sample[first : first + _BLOCK_ROWS]
        nearest[first : first + len(block)] = np.argmax(block @ centroids.T - halves, axis=1)
    return nearest
