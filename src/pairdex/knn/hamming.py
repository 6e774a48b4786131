"""Exact nearest rows of bit sketches: the rows that differ from a query in the fewest bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import Mismatch
from pairdex.knn.arguments import check_allowed, check_blocks, check_options
from pairdex.work.processors import usable_processors

__all__ = ["MAX_WORDS", "NO_DISTANCE", "check_words", "nearest"]

MAX_WORDS = 4_095  # 262,080 bits; sums of longer rows would overflow in a kernel
NO_DISTANCE = np.iinfo(np.int32).max  # beside an id of -1


def nearest(
    blocks: Sequence[NDArray[np.uint64]],
    queries: NDArray[np.uint64],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    kernel: str | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Find the k nearest rows of each query by the number of differing bits.

    Parameters
    ----------
    blocks
        C-contiguous (rows, words) uint64 arrays, usually memory maps; ids run over them in order.
    queries
        (n, words) uint64.
    k
        At least 1; may exceed the number of rows.
    allowed
        (rows,) over all blocks: only rows where it is true are found.
    threads
        At least 1; by default every core that this process may use.
    kernel
        A name from ``_native.kernels()``, for tests; the fastest by default.

    Returns
    -------
    ids : NDArray[np.int64], shape (n, k)
        Nearest first, equal distances by smaller id; -1 where fewer than k rows qualify.
    distances : NDArray[np.int32], shape (n, k)
        Differing bits; NO_DISTANCE beside an id of -1.

    Raises
    ------
    InvalidArgument
        For a k or thread count below 1, or an unknown kernel.
    Mismatch
        If shapes or dtypes differ, or `allowed` is not one flag a row.
    """
    check_options(k, threads, kernel)
    checked = check_words(queries)
    check_blocks(blocks, checked.shape[1], np.uint64)
    check_allowed(allowed, sum(len(block) for block in blocks))
    ids, distances = _native.nearest_bits(
        list(blocks),
        checked,
        k,
        allowed=allowed,
        threads=threads or usable_processors(),
        kernel=kernel or "",
    )
    counts = np.full(ids.shape, NO_DISTANCE, np.int32)
    np.copyto(counts, distances, where=ids >= 0, casting="unsafe")
    return ids, counts


def check_words(queries: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return queries as C-contiguous uint64 (n, words).

    Raises
    ------
    Mismatch
        Not rows of 1 to MAX_WORDS uint64 words.
    """
    array = np.asarray(queries)
    if array.ndim != 2 or not 1 <= array.shape[1] <= MAX_WORDS:
        raise Mismatch(
            f"queries have shape {array.shape}, expected (n, words) with 1 to {MAX_WORDS:,} words"
        )
    if array.dtype != np.uint64:
        raise Mismatch(
            f"queries are {array.dtype}, expected uint64: each word holds 64 bits of a sketch"
        )
    return np.ascontiguousarray(array)
