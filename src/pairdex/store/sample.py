"""Draw rows at random: uniformly, without replacement, reproducible from the seed on every machine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.store.fields import DEFAULT_SEED
from pairdex.wording import counted

__all__ = ["draw"]

_BLOCK_ROWS = 1 << 20
_HIGH_BITS = 16  # of a row's key: rows are counted by these bits first, so only a few need sorting


def draw(keep: NDArray[np.bool_], n: int, *, seed: int = DEFAULT_SEED) -> NDArray[np.bool_]:
    """Return a mask, shape (rows,), of `n` rows drawn from the rows where `keep` is true.

    Each kept row gets a random 64-bit key, in ascending order of ids. The sample is the rows with the n
    smallest keys, so a smaller sample with the same seed is a subset of a larger one. The keys are the
    raw PCG64 stream, which does not change between NumPy releases.

    Raises
    ------
    InvalidArgument
        `seed` is negative, or `n` is not between 1 and the number of kept rows.
    """
    if seed < 0:
        raise InvalidArgument(f"the seed is {seed}, expected 0 or more", field="seed")
    rows = int(np.count_nonzero(keep))
    if not 1 <= n <= rows:
        raise InvalidArgument(
            f"the sample is {counted(n, 'row')}, expected at least 1 and at most {rows:,}, the rows to draw from",
            field="sample",
        )
    counts = np.zeros(1 << _HIGH_BITS, np.int64)
    for _, high, _ in _keys(keep, seed):
        counts += np.bincount(high, minlength=len(counts))
    last = int(np.searchsorted(np.cumsum(counts), n))  # only some rows with these bits are drawn
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
    """Yield for each block the kept ids, the high bits of their keys, and the keys."""
    stream = np.random.PCG64(seed)
    for first in range(0, len(keep), _BLOCK_ROWS):
        ids = first + np.flatnonzero(keep[first : first + _BLOCK_ROWS])
        keys = stream.random_raw(len(ids))
        yield ids, (keys >> np.uint64(64 - _HIGH_BITS)).astype(np.int64), keys
