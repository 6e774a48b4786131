"""Writing a .npy file of vectors block by block; the number of rows is known only at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pairdex.files import atomic
from pairdex.files.vectors import npy_header

__all__ = ["DTYPE", "VectorWriter", "writing_vectors"]

DTYPE = np.dtype("<f2")


class VectorWriter:
    """Appends blocks (rows, dim) float16 to a file; counts them in `rows`."""

    def __init__(self, file: BinaryIO, dim: int) -> None:
        self._file = file
        self._dim = dim
        self.rows = 0
        file.write(npy_header(0, dim, DTYPE))

    def append(self, block: NDArray[np.float16]) -> None:
        """Append the rows of `block`."""
        self._file.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
        self.rows += len(block)

    def finish(self) -> None:
        """Write the header again, now that the number of rows is known."""
        self._file.seek(0)
        self._file.write(npy_header(self.rows, self._dim, DTYPE))


@contextmanager
def writing_vectors(path: Path, dim: int) -> Iterator[VectorWriter]:
    """Yield a writer whose file becomes `path` when the block ends; it is removed if the block raises."""
    with atomic.replacing(path) as file:
        writer = VectorWriter(file, dim)
        yield writer
        writer.finish()
