"""Arrays in files of their own, mapped: memory holds what is in use, the disk the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import WriteFailed

__all__ = ["map_array", "new_array"]


def map_array(
    path: Path, shape: tuple[int, ...], dtype: type[Any], *, mode: Literal["r", "r+"] = "r"
) -> NDArray[Any]:
    """Map the array that a file holds and nothing else."""
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode=mode, shape=shape)


def new_array(path: Path, shape: tuple[int, ...], dtype: type[Any]) -> NDArray[Any]:
    """Make a file of zeros, in place of an older one, and map it.

    Its place on the disk is reserved: a write to a mapped file could not report a full disk.

    Raises
    ------
    WriteFailed
        The disk is full, or the file cannot be made.
    """
    path.unlink(missing_ok=True)
    try:
        with path.open("xb") as file:
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            os.posix_fallocate(file.fileno(), 0, max(1, size))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise WriteFailed(
            f"cannot write {path}: {error.strerror}; free space and run the same command again"
        ) from error
    return map_array(path, shape, dtype, mode="r+")
