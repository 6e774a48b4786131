"""Writing HDF5 files of plain tables in blocks: HDF5 lays out the file, we write the rows.

HDF5 reports a full disk only in the text of an error and may fail again on closing. Therefore it
writes to a file in memory, without the rows of the tables. The rows go directly to the real file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["TableWriter", "Value"]

_LIBVER = ("v110", "v110")  # file format 3.0, which JLD2 reads

Value = str | int | float | bool


class TableWriter:
    """Tables of known shapes in an HDF5 file, contiguous and uncompressed, filled in any order.

    Parameters
    ----------
    file
        The HDF5 file is written here from position 0. It is complete when all rows are written.
    tables
        The shape and dtype of each table, by name.
    attributes
        Attributes of the file.
    table_attributes
        Attributes of the tables, by name.
    """

    def __init__(
        self,
        file: BinaryIO,
        tables: Mapping[str, tuple[tuple[int, ...], DTypeLike]],
        *,
        attributes: Mapping[str, Value],
        table_attributes: Mapping[str, Mapping[str, Value]] | None = None,
    ) -> None:
        self._file = file
        self._dtypes = {name: np.dtype(dtype) for name, (_, dtype) in tables.items()}
        self._shapes = {name: shape for name, (shape, _) in tables.items()}
        self._attributes = dict(attributes)
        self._table_attributes = dict(table_attributes or {})
        self._offsets = self._lay_out()

    def set_attributes(self, attributes: Mapping[str, Value]) -> None:
        """Change attributes of the file. A text must keep its length."""
        self._attributes.update(attributes)
        offsets = self._lay_out()
        assert offsets == self._offsets, "values of another size"

    def write(self, name: str, first: int, rows: NDArray[Any]) -> None:
        """Write rows of a table from its row `first` on, converted to its dtype."""
        shape, dtype = self._shapes[name], self._dtypes[name]
        assert rows.shape[1:] == shape[1:], (rows.shape, shape)
        assert 0 <= first <= first + len(rows) <= shape[0], (first, len(rows), shape)
        if rows.size:
            row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
            self._file.seek(self._offsets[name] + first * row_bytes)
            self._file.write(np.ascontiguousarray(rows, dtype).data)

    def _lay_out(self) -> dict[str, int]:
        """Write everything except the rows; return the position of each table's first row."""
        layout = _Layout()
        with h5py.File(layout, "w", libver=_LIBVER) as image:
            for name, shape in self._shapes.items():
                _create(image, name, shape, self._dtypes[name])
                image[name].attrs.update(self._table_attributes.get(name, {}))
            image.attrs.update(self._attributes)
            image.flush()
            offsets = {name: image[name].id.get_offset() for name in self._shapes}
        layout.copy_to(self._file)
        return offsets


def _create(image: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Create a table that is allocated at once and not filled."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)
    group = name.rpartition("/")[0]
    if group:
        image.require_group(group)
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(image.id, name.encode(), h5py.h5t.py_create(dtype), space, dcpl=plan)


class _Layout(io.RawIOBase):
    """A sparse file in memory: only written bytes take memory."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._at = 0
        self._size = 0

    def copy_to(self, file: BinaryIO) -> None:
        file.truncate(self._size)
        for offset, piece in self._pieces:  # in the order of writing: later pieces win
            file.seek(offset)
            file.write(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self._pieces.append((self._at, bytes(data)))
        self._at += len(self._pieces[-1][1])
        self._size = max(self._size, self._at)
        return len(self._pieces[-1][1])

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        wanted = bytearray(len(buffer))
        for offset, piece in self._pieces:
            first, last = max(offset, self._at), min(offset + len(piece), self._at + len(wanted))
            if first < last:
                wanted[first - self._at : last - self._at] = piece[first - offset : last - offset]
        buffer[:] = wanted
        self._at += len(wanted)
        return len(wanted)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        return self._size
