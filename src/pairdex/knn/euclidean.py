"""Exact nearest rows of float32 by squared Euclidean distance, as projected vectors are compared.

A float32 scan rules out rows by a proven bound (docs/certified.md). All other rows are measured in
float64, summed in one fixed order. So the answer does not depend on the kernel, the number of threads
or queries, or the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.arguments import check_allowed, check_blocks, check_options
from pairdex.work.processors import usable_processors

__all__ = ["MAX_DIM", "check_points", "nearest"]

MAX_DIM = 65_536  # the bound is proven up to here


def nearest(
    blocks: Sequence[NDArray[np.float32]],
    queries: NDArray[np.float32],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    kernel: str | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the k nearest rows of each query by squared Euclidean distance, exactly.

    Rows that are not finite are never found.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float32 arrays, usually memory maps; ids run over them in order.
    queries
        (n, dim), any real dtype, finite; compared as float32.
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
    distances : NDArray[np.float64], shape (n, k)
        Squared Euclidean; infinity beside an id of -1.

    Raises
    ------
    InvalidArgument
        For a k or thread count below 1, a query that is not finite, or an unknown kernel.
    Mismatch
        If dims or dtypes differ, or `allowed` is not one flag a row.
    """
    check_options(k, threads, kernel)
    checked = check_points(queries)
    check_blocks(blocks, checked.shape[1], np.float32)
    check_allowed(allowed, sum(len(block) for block in blocks))
    return _native.nearest_points(
        list(blocks),
        checked,
        k,
        allowed=allowed,
        threads=threads or usable_processors(),
        kernel=kernel or "",
    )


def check_points(queries: NDArray[Any]) -> NDArray[np.float32]:
    """Return queries as C-contiguous float32 (n, dim); each must be finite.

    Raises
    ------
    InvalidArgument, Mismatch
        A query that is not finite; not rows of 1 to MAX_DIM real numbers.
    """
    array = np.asarray(queries)
    if array.ndim != 2 or not 1 <= array.shape[1] <= MAX_DIM:
        raise Mismatch(
            f"queries have shape {array.shape}, expected (n, dim) with a dim of 1 to {MAX_DIM:,}"
        )
    if array.dtype.kind not in "fiu":
        raise Mismatch(f"queries are {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are named below
        rows = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise InvalidArgument(f"query {bad[0]} is not finite")
    return rows
