"""The vectors of a published collection, of which only the rows that are read are fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile
from pairdex.files.vectors import open_vectors
from pairdex.store.ranged_file import RangedFile
from pairdex.store.vectors_view import VectorsView

__all__ = ["RangedVectors"]


class RangedVectors(VectorsView):
    """See `VectorsView`. `blocks` fetches all vectors; rows and slices fetch the blocks that they lie in.

    Parameters
    ----------
    files
        The file of each part; None if it is not read by ranges.
    rows
        The rows of each part.
    opened
        Return the vectors of the parts with these numbers, fetched whole.
    """

    def __init__(
        self,
        files: Sequence[RangedFile | None],
        rows: Sequence[int],
        dim: int,
        opened: Callable[[Sequence[int]], list[NDArray[np.float16]]],
    ) -> None:
        self._files, self._opened = files, opened
        self._parts: dict[int, NDArray[np.float16]] = {}
        self._whole: tuple[NDArray[Any], ...] | None = None
        self._measure(rows, dim, np.dtype(np.float16))

    @property
    def blocks(self) -> tuple[NDArray[Any], ...]:
        """All rows, as the memory maps of the parts; fetched whole if they are not here."""
        if self._whole is None:
            self._whole = tuple(self._opened(range(len(self._files))))
        return self._whole

    @property
    def is_whole(self) -> bool:
        """Whether all rows were fetched."""
        return self._whole is not None

    def begun(self) -> list[NDArray[np.float16]]:
        """Return all rows as the memory maps of the parts; rows must be needed before they are read."""
        return [self._part(index) for index in range(len(self._files))]

    def need(self, ids: NDArray[np.int64]) -> None:
        """Have rows, all in range, in `begun`."""
        where = np.searchsorted(self._starts, ids, side="right") - 1
        for index in np.unique(where).tolist():
            self._need(index, ids[where == index] - self._starts[index])

    def _piece(self, index: int, start: int, stop: int) -> NDArray[Any]:
        part, file = self._part(index), self._files[index]
        if file is not None:
            file.need([self._place(file, index, start, stop)])
        return part[start:stop]

    def _taken(self, index: int, rows: NDArray[np.int64]) -> NDArray[Any]:
        part = self._part(index)
        self._need(index, rows)
        return np.asarray(part[rows])

    def _need(self, index: int, rows: NDArray[np.int64]) -> None:
        file = self._files[index]
        if file is not None:
            file.need(self._place(file, index, row, row + 1) for row in rows.tolist())

    def _place(self, file: RangedFile, index: int, start: int, stop: int) -> tuple[int, int]:
        """Return the bytes of rows: they end where the file ends."""
        row_bytes = self.shape[1] * self.dtype.itemsize
        end = file.bytes - (self._length(index) - stop) * row_bytes
        return end - (stop - start) * row_bytes, end

    def _length(self, index: int) -> int:
        return int(self._starts[index + 1] - self._starts[index])

    def _part(self, index: int) -> NDArray[np.float16]:
        """Return the rows of a part, mapped; of a file that is read by ranges, only its header is here."""
        if index not in self._parts:
            file = self._files[index]
            self._parts[index] = (
                self._opened([index])[0] if file is None else self._map(file, index)
            )
        return self._parts[index]

    def _map(self, file: RangedFile, index: int) -> NDArray[np.float16]:
        rows = self._length(index)
        header_bytes = file.bytes - rows * self.shape[1] * self.dtype.itemsize
        file.need([(0, min(file.bytes, max(header_bytes, 0)))])
        vectors = open_vectors(file.path)
        if (vectors.rows, vectors.dim, vectors.offset) != (rows, self.shape[1], header_bytes):
            raise DamagedFile(
                f"{file.path} is damaged: it has {vectors.rows:,} vectors of {vectors.dim} dimensions, the "
                f"manifest says {rows:,} of {self.shape[1]}; publish the collection again"
            )
        return vectors.mapped()
