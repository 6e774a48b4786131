"""Checks of the arguments of all exact searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch

__all__ = ["check_allowed", "check_blocks", "check_options"]


def check_options(k: int, threads: int | None, kernel: str | None) -> None:
    """Raise InvalidArgument for a k or thread count below 1, or an unknown kernel."""
    if k < 1:
        raise InvalidArgument(f"k is {k}, expected at least 1", field="k")
    if threads is not None and threads < 1:
        raise InvalidArgument(f"threads is {threads}, expected at least 1", field="threads")
    if kernel is not None and kernel not in _native.kernels():
        usable = ", ".join(_native.kernels())
        raise InvalidArgument(f"this processor has no kernel {kernel!r}, expected one of {usable}")


def check_blocks(blocks: Sequence[NDArray[Any]], dim: int, dtype: DTypeLike) -> None:
    """Raise Mismatch unless every block is C-contiguous, (rows, dim) and of that dtype."""
    for number, block in enumerate(blocks):
        if block.dtype != dtype:
            raise Mismatch(f"block {number} is {block.dtype}, expected {np.dtype(dtype)}")
        if block.ndim != 2 or not block.flags.c_contiguous:
            raise Mismatch(
                f"block {number} has shape {block.shape}, expected C-contiguous (rows, dim)"
            )
        if block.shape[1] != dim:
            raise Mismatch(f"queries have dim {dim}, block {number} has dim {block.shape[1]}")


def check_allowed(allowed: NDArray[np.bool_] | None, n_rows: int) -> None:
    """Raise Mismatch unless `allowed` has one flag for each row."""
    if allowed is None:
        return
    if allowed.dtype != np.bool_ or allowed.shape != (n_rows,):
        got = f"{allowed.dtype} of shape {allowed.shape}"
        raise Mismatch(
            f"allowed is {got}, expected bool of shape ({n_rows},): one flag for each row"
        )
