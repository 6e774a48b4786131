"""Exact k nearest rows of float16 blocks, by cosine distance.

A fast float32 scan only proposes rows; whether a row is among the k nearest is decided in float64, summed in one
fixed order, so that the answer does not depend on the kernel, the number of threads or the cut into blocks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch

__all__ = ["Neighbours", "nearest"]


@dataclass(frozen=True)
class Neighbours:
    """The k nearest rows of each query, nearest first, equal distances by smaller id.

    Attributes
    ----------
    ids
        (n, k) int64, 0-based over all blocks; -1 where fewer than k rows qualify.
    distances
        (n, k) float64, 1 - cos in [0, 2]; infinity beside an id of -1.
    rechecked
        How many pairs of query and row were compared in float64.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]
    rechecked: int


def nearest(
    blocks: Sequence[NDArray[np.float16]],
    queries: NDArray[np.float32],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    kernel: str | None = None,
) -> Neighbours:
    """Find the k nearest rows of each query, exactly.

    Rows that are all zero or not finite are never found.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays, usually memory maps; ids run over them in order.
    queries
        (n, dim), any real dtype, of any length but zero; compared as float32.
    k
        At least 1; more than there are rows is no error.
    allowed
        (rows,) over all blocks: only rows where it is true are found.
    threads
        At least 1; every core this process may use by default.
    kernel
        A name from ``_native.kernels()``, for tests; the fastest by default.

    Returns
    -------
    Neighbours
        k rows for each query if k rows qualify.

    Raises
    ------
    InvalidArgument
        For a k or thread count below 1, a query without a direction, or an unknown kernel.
    Mismatch
        If dims or dtypes differ, or `allowed` is not one flag a row.
    """
    if k < 1:
        raise InvalidArgument(f"k is {k}, expected at least 1", field="k")
    if threads is not None and threads < 1:
        raise InvalidArgument(f"threads is {threads}, expected at least 1", field="threads")
    if kernel is not None and kernel not in _native.kernels():
        usable = ", ".join(_native.kernels())
        raise InvalidArgument(f"this processor has no kernel {kernel!r}, expected one of {usable}")
    checked = _check_queries(queries)
    _check_blocks(blocks, checked.shape[1])
    _check_allowed(allowed, sum(len(block) for block in blocks))
    ids, distances, rechecked = _native.nearest(
        list(blocks),
        checked,
        k,
        allowed=allowed,
        threads=threads or _cores(),
        kernel=kernel or "",
    )
    return Neighbours(ids, distances, rechecked)


def _cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_queries(queries: NDArray[Any]) -> NDArray[np.float32]:
    """As C-contiguous float32, each with a direction."""
    array = np.asarray(queries)
    if array.ndim != 2 or array.shape[1] == 0:
        raise Mismatch(f"queries have shape {array.shape}, expected (n, dim)")
    if array.dtype.kind not in "fiu":
        raise Mismatch(f"queries are {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite and is named below
        rows = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~(np.isfinite(rows).all(axis=1) & rows.any(axis=1)))
    if bad.size:
        kind = "all zero" if np.isfinite(rows[bad[0]]).all() else "not finite"
        raise InvalidArgument(f"query {bad[0]} is {kind}, so it has no direction")
    return rows


def _check_blocks(blocks: Sequence[NDArray[np.float16]], dim: int) -> None:
    for number, block in enumerate(blocks):
        if block.dtype != np.float16:
            raise Mismatch(f"block {number} is {block.dtype}, expected float16")
        if block.ndim != 2 or not block.flags.c_contiguous:
            raise Mismatch(
                f"block {number} has shape {block.shape}, expected C-contiguous (rows, dim)"
            )
        if block.shape[1] != dim:
            raise Mismatch(f"queries have dim {dim}, block {number} has dim {block.shape[1]}")


def _check_allowed(allowed: NDArray[np.bool_] | None, n_rows: int) -> None:
    if allowed is None:
        return
    if allowed.dtype != np.bool_ or allowed.shape != (n_rows,):
        got = f"{allowed.dtype} of shape {allowed.shape}"
        raise Mismatch(f"allowed is {got}, expected bool of shape ({n_rows},): one flag a row")
