"""
The compiled part of pairdex: use pairdex.knn and pairdex.codes instead.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def kernels() -> list[str]:
    """Names of the kernels this processor can run, fastest first."""

def check_rows(rows: Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, threads: int = 1) -> NDArray[numpy.uint8]:
    """
    (n,) uint8: 0 a row that can be normalised, 1 all zero, 2 with an infinity or NaN.
    """

def nearest(blocks: Sequence[Annotated[NDArray[numpy.float16], dict(shape=(None, None), order='C', device='cpu', writable=False)]], queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, *, allowed: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, threads: int, kernel: str) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, None))], Annotated[NDArray[numpy.float64], dict(shape=(None, None))], int]:
    """
    Exact nearest rows: ids (n, k) int64, distances (n, k) float64, pairs measured in float64.
    """

def touch(data: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], *, threads: int = 1) -> int:
    """
    Read every byte, to warm the page cache or to measure; returns the sum of the words.
    """
