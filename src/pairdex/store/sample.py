"""Drawing rows at random: uniformly, without replacement, the same for the same seed everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument

__all__ = ["DEFAULT_SEED", "draw"]

DEFAULT_SEED = 0

_BLOCK_ROWS = 1 << 20
_HIGH_BITS = 16  # of a row's key: the rows are first counted by these, so that few need sorting


def draw(keep: NDArray[np.bool_], n: int, *, seed: int = DEFAULT_SEED) -> NDArray[np.bool_]:
    """Return which rows a sample of `n` of the rows to keep has, shape (rows,).

    Each row gets a random key of 64 bits, in the order of ids; the sample is the n smallest. So the
    sample of fewer rows with the same seed is within the larger one. The keys are PCG64's own
    stream, which does not change between releases of NumPy.

    Raises
    ------
    InvalidArgument
        A negative seed, or fewer rows than are to be drawn.
    """
    if seed < 0:
        raise InvalidArgument(f"the seed is {seed}, expected 0 or more", field="seed")
    rows = int(np.count_nonzero(keep))
    if not 1 <= n <= rows:
        raise InvalidArgument(
            f"the sample is {n:,} rows, expected at least 1 and at most the {rows:,} to draw from",
            field="sample",
        )
    counts = np.zeros(1 << _HIGH_BITS, np.int64)
    for _, high, _ in _keys(keep, seed):
        counts += np.bincount(high, minlength=len(counts))
    last = int(np.searchsorted(np.cumsum(counts), n))  # of these only some are drawn
    drawn = np.zeros(len(keep), np.bool_)
    edge_ids, edge_keys = [], []
    for ids, high, keys in _keys(keep, seed):
        drawn[ids[high < last]] = True
        edge_ids.append(ids[high == last])
        edge_keys.append(keys[high == last])
    missing = n - int(counts[:last].sum())
    order = np.argsort(np.concatenate(edge_keys), kind="stable")[:missing]
    drawn[np.concatenate(edge_ids)[order]] = True
    return drawn


def _keys(
    keep: NDArray[np.bool_], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]]:
    """Yield the ids of the rows to keep, their keys' high bits, and their keys, block by block."""
    stream = np.random.PCG64(seed)
    for first in range(0, len(keep), _BLOCK_ROWS):
        ids = first + np.flatnonzero(keep[first : first + _BLOCK_ROWS])
        keys = stream.random_raw(len(ids))
        yield ids, (keys >> np.uint64(64 - _HIGH_BITS)).astype(np.int64), keys
