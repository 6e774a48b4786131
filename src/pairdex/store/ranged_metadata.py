"""Metadata of a published collection, read by ranges: the columns of batches, or the cells of rows.

A batch begins with a header that says where the buffers of its columns lie. These are needed first, then
the buffers, or the pieces of them that some rows use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import DamagedFile
from pairdex.store.metadata import BATCH_ROWS, MetadataFile, by_batch
from pairdex.store.ranged_file import RangedFile

__all__ = ["RangedMetadata"]

_TAIL = struct.Struct("<i6s")  # of an Arrow file: the size of its footer, its magic
_BATCHES_FIELD = 3  # of the footer (Arrow's File.fbs): version, schema, dictionaries, recordBatches
_BLOCK = np.dtype([("offset", "<i8"), ("head", "<i4"), ("", "<i4"), ("body", "<i8")])  # File.fbs
_FEW_ROWS = 256  # of a batch; for more, whole columns are read
_AT_ONCE = 16  # batches whose columns are fetched together, when all rows are read

_Range = tuple[int, int]


class RangedMetadata:
    """A part's metadata, with the methods of `MetadataFile`. It is opened when it is first read.

    Parameters
    ----------
    schema
        The columns that it must have; None: those that it has.
    """

    def __init__(self, file: RangedFile, rows: int, schema: pa.Schema | None) -> None:
        self._ranged, self._rows = file, rows
        self.schema: pa.Schema = schema if schema is not None else self._file.schema

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order, one batch at a time; see `MetadataFile.tables`."""
        names = self.schema.names if columns is None else list(columns)
        count = -(-self._rows // BATCH_ROWS)
        for first in range(0, count, _AT_ONCE):
            some = range(first, min(count, first + _AT_ONCE))
            self._ranged.need(self._heads[index] for index in some)
            self._ranged.need(each for index in some for each in self._columns(index, names))
            for index in some:
                yield self._file.table(index, names)

    def take(self, rows: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the given rows, all in range, in the given order."""
        names = self.schema.names if columns is None else list(columns)
        self._need_rows(rows, names)
        return self._file.take(rows, names)

    def values(self, rows: Sequence[int]) -> list[list[Any]]:
        """Return the given rows, all in range, as lists of JSON values, one per column."""
        self._need_rows(np.asarray(rows, np.int64), self.schema.names)
        return self._file.values(rows)

    @cached_property
    def _file(self) -> MetadataFile:
        """The file, with its footer but no batches."""
        self._ranged.need([self._footer_place])
        opened = MetadataFile(self._ranged.path, self._rows, content=self._content)
        schema = getattr(self, "schema", None)
        if schema is not None and not opened.schema.equals(schema):
            raise self._damaged("its columns differ from those of the first part")
        return opened

    @cached_property
    def _footer_place(self) -> _Range:
        size = self._ranged.bytes
        if size < _TAIL.size:
            raise self._damaged("it ends early")
        self._ranged.need([(size - _TAIL.size, size)])
        footer, _ = _TAIL.unpack(self._content[size - _TAIL.size :].to_pybytes())
        return max(0, size - _TAIL.size - max(0, footer)), size

    @cached_property
    def _content(self) -> pa.Buffer:
        mapped = pa.memory_map(str(self._ranged.path))
        return mapped.read_buffer(self._ranged.bytes)

    @cached_property
    def _heads(self) -> list[_Range]:
        """Where the header of each batch lies."""
        assert self._file is not None, "its footer is there"
        try:
            blocks = _batch_blocks(self._content[self._footer_place[0] :].to_pybytes())
        except (struct.error, ValueError) as error:
            raise self._damaged("its footer cannot be read") from error
        return [self._inside(int(one["offset"]), int(one["head"])) for one in blocks]

    def _inside(self, offset: int, size: int) -> _Range:
        if min(offset, size) < 0 or offset + size > self._ranged.bytes:
            raise self._damaged("a batch lies outside of it")
        return offset, offset + size

    def _columns(self, index: int, names: Sequence[str]) -> Iterator[_Range]:
        """Yield where the columns of a batch lie."""
        batch = self._file.batch(index)
        for name in names:
            for buffer in batch.column(name).buffers():
                if buffer is not None:
                    yield self._place(buffer)

    def _need_rows(self, rows: NDArray[np.int64], names: Sequence[str]) -> None:
        """Have the cells of some rows: first what has a fixed place, then the texts that it leads to."""
        batches = list(by_batch(np.unique(rows)))
        self._ranged.need(self._heads[index] for index, _ in batches)
        columns = [
            (column, inside)
            for index, inside in batches
            for column in self._file.batch(index).select(list(names)).columns
        ]
        self._ranged.need(each for one in columns for each in self._fixed(*one))
        self._ranged.need(each for one in columns for each in self._texts(*one))

    def _fixed(self, column: pa.Array, rows: NDArray[np.int64]) -> Iterator[_Range]:
        """Yield the bytes of rows that have a fixed place in a column, or the whole column."""
        buffers, width = column.buffers(), _width(column.type)
        if width is None or len(rows) > _FEW_ROWS:
            yield from (self._place(buffer) for buffer in buffers if buffer is not None)
            return
        if buffers[0] is not None:
            yield self._place(buffers[0])
        if buffers[1] is not None:
            first, end = self._place(buffers[1])
            extra = width if len(buffers) > 2 else 0  # where a text ends
            for row in rows.tolist():
                begin = first + row * width
                yield min(begin, end), min(begin + width + extra, end)

    def _texts(self, column: pa.Array, rows: NDArray[np.int64]) -> Iterator[_Range]:
        """Yield the bytes of the texts of rows, whose places are here."""
        buffers, width = column.buffers(), _width(column.type)
        if width is None or len(buffers) < 3 or len(rows) > _FEW_ROWS or buffers[2] is None:
            return
        offsets = np.frombuffer(buffers[1], f"<i{width}")
        first, end = self._place(buffers[2])
        for row in rows.tolist():
            begin, stop = (first + int(offset) for offset in offsets[row : row + 2])
            if first <= begin < stop <= end:  # otherwise reading the row names the damage
                yield begin, stop

    def _place(self, buffer: pa.Buffer) -> _Range:
        """Return where a buffer lies in the file."""
        return self._inside(buffer.address - self._content.address, buffer.size)

    def _damaged(self, reason: str) -> DamagedFile:
        return DamagedFile(
            f"{self._ranged.path} is damaged: {reason}; publish the collection again"
        )


def _width(kind: pa.DataType) -> int | None:
    """Return the bytes of one value, or of one offset of a text; None for other columns."""
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return 4
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return 8
    is_whole = pa.types.is_primitive(kind) and kind.bit_width % 8 == 0
    return int(kind.bit_width) // 8 if is_whole else None


def _batch_blocks(footer: bytes) -> NDArray[np.void]:
    """Return the places of the batches, from the footer: a table of flatbuffers.

    Raises
    ------
    struct.error, ValueError
        It ends early.
    """
    (table,) = struct.unpack_from("<I", footer, 0)
    (back,) = struct.unpack_from("<i", footer, table)
    fields = table - back
    (size,) = struct.unpack_from("<H", footer, fields)
    slot = 4 + 2 * _BATCHES_FIELD
    (place,) = struct.unpack_from("<H", footer, fields + slot) if slot < size else (0,)
    if place == 0:
        return np.empty(0, _BLOCK)
    (offset,) = struct.unpack_from("<I", footer, table + place)
    vector = table + place + offset
    (count,) = struct.unpack_from("<I", footer, vector)
    return np.frombuffer(footer, _BLOCK, count, vector + 4)
