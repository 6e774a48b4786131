"""Metadata rows by id in O(1), from memory-mapped Arrow IPC files with batches of equal size.

Every batch of a file has BATCH_ROWS rows, except the last: a row's batch and offset are computed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import DamagedFile
from pairdex.files import atomic
from pairdex.store.cells import Cells, cells_of
from pairdex.wording import counted

__all__ = ["BATCH_ROWS", "MetadataFile", "MetadataWriter", "by_batch", "writing_metadata"]

BATCH_ROWS = 16_384  # small enough to read a few rows cheaply, large enough to scan fast
_KEPT_BATCHES = 1_024  # batches whose cells stay open: about 10 MB, for 16 million rows
_FEW_ROWS = 100  # validating this many rows one by one takes as long as a whole batch


class MetadataWriter:
    """Append tables of one schema, cut into batches of equal size."""

    def __init__(self, stream: pa.ipc.RecordBatchFileWriter, schema: pa.Schema) -> None:
        self._stream = stream
        self._waiting = schema.empty_table()

    def append(self, table: pa.Table) -> None:
        """Append the rows of `table`."""
        self._waiting = pa.concat_tables([self._waiting, table])
        whole = len(self._waiting) // BATCH_ROWS * BATCH_ROWS
        self._write(self._waiting.slice(0, whole))
        self._waiting = self._waiting.slice(whole)

    def finish(self) -> None:
        """Write the remaining rows as the last, shorter batch."""
        self._write(self._waiting)

    def _write(self, table: pa.Table) -> None:
        for start in range(0, len(table), BATCH_ROWS):
            rows = table.slice(start, BATCH_ROWS).combine_chunks()
            for batch in rows.to_batches():
                self._stream.write_batch(batch)


@contextmanager
def writing_metadata(path: Path, schema: pa.Schema) -> Iterator[MetadataWriter]:
    """Yield a writer; its file becomes `path` when the block ends, and is deleted if the block raises."""
    with atomic.replacing(path) as file, pa.ipc.new_file(file, schema) as stream:
        writer = MetadataWriter(stream, schema)
        yield writer
        writer.finish()


class MetadataFile:
    """The metadata of one part.

    It is memory-mapped; with `mapped=False` it is read batch by batch, which keeps memory constant. With
    `content`, that is the mapped content of the file.

    Raises
    ------
    DamagedFile
        The file is not an Arrow IPC file, or its number of batches does not match `rows`.
    """

    def __init__(
        self,
        path: Path,
        rows: int,
        *,
        mapped: bool = True,
        remedy: str = "build the collection again",
        content: pa.Buffer | None = None,
    ) -> None:
        self._path = path
        self._remedy = remedy
        self._rows = rows
        self._validated: set[tuple[int, tuple[str, ...] | None]] = set()  # batches, by columns
        self._cells: dict[int, Cells] = {}  # by batch, in the order of opening
        try:
            self._file = pa.ipc.open_file(_opened(path, content, mapped=mapped))
            self.schema: pa.Schema = self._file.schema
            self.schema.names  # noqa: B018 - decodes them
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if getattr(error, "errno", None) == errno.ENOMEM:  # of the map; the file may be whole
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path)) from error
            raise self._damaged(error) from error
        if self._file.num_record_batches != -(-rows // BATCH_ROWS):
            raise self._damaged(
                f"it has {counted(self._file.num_record_batches, 'batch')}, expected those of {counted(rows, 'row')}"
            )

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order, one batch at a time: these columns, at least one; None for all."""
        for index in range(self._file.num_record_batches):
            yield self.table(index, columns)

    def table(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one batch: at most BATCH_ROWS, starting at row index x BATCH_ROWS."""
        return pa.Table.from_batches([self._checked(index, columns=columns)])

    def batch(self, index: int) -> pa.RecordBatch:
        """Return a batch whose values are not validated: for the places of its buffers.

        Raises
        ------
        DamagedFile
            Its header is damaged, or it has another number of rows.
        """
        try:
            batch = self._file.get_batch(index)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        if len(batch) != self._batch_rows(index):
            raise self._wrong_batch(index, batch)
        return batch

    def take(self, rows: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the given rows, all in range, in the given order."""
        order = np.argsort(rows, kind="stable")
        pieces = [
            self._checked(index, inside, columns).take(pa.array(inside))
            for index, inside in by_batch(rows[order])
        ]
        schema = self.schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        taken = pa.Table.from_batches(pieces, schema)
        return taken.take(pa.array(np.argsort(order, kind="stable")))

    def values(self, rows: Sequence[int]) -> list[list[Any]]:
        """Return the given rows, all in range, as lists of JSON values, one per column."""
        try:
            return [self._open(row // BATCH_ROWS).row(row % BATCH_ROWS) for row in rows]
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise self._damaged(error) from error

    def _open(self, index: int) -> Cells:
        """Return the reader of a batch's cells, cached."""
        cells = self._cells.get(index)
        if cells is None:
            batch = self._file.get_batch(index)
            if len(batch) != self._batch_rows(index):
                raise self._wrong_batch(index, batch)
            cells = cells_of(batch.columns)
            self._cells[index] = cells
            while len(self._cells) > _KEPT_BATCHES:
                self._cells.pop(next(iter(self._cells)), None)
        return cells

    def _checked(
        self,
        index: int,
        rows: NDArray[np.int64] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.RecordBatch:
        """Return a batch after validating the given rows of it, or all rows.

        Damaged offsets would make Arrow read other memory. A whole batch is validated at most once; for
        a few rows only these rows are validated.
        """
        key = (index, None if columns is None else tuple(columns))
        is_known = key in self._validated or (index, None) in self._validated
        batch = self.batch(index)
        if columns is not None:
            batch = batch.select(list(columns))
        try:
            if not is_known and rows is not None and len(rows) <= _FEW_ROWS:
                for row in rows:
                    batch.slice(row, 1).validate(full=True)
            elif not is_known:
                batch.validate(full=True)
                self._validated.add(key)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        return batch

    def _batch_rows(self, index: int) -> int:
        return min(BATCH_ROWS, self._rows - index * BATCH_ROWS)

    def _wrong_batch(self, index: int, batch: pa.RecordBatch) -> DamagedFile:
        return self._damaged(
            f"its batch {index} has {counted(len(batch), 'row')}, expected {self._batch_rows(index):,}"
        )

    def _damaged(self, reason: object) -> DamagedFile:
        return DamagedFile(
            f"{self._path} is damaged: {str(reason).splitlines()[0]}; {self._remedy}"
        )


def _opened(path: Path, content: pa.Buffer | None, *, mapped: bool) -> pa.NativeFile:
    if content is not None:
        return pa.BufferReader(content)
    return (pa.memory_map if mapped else pa.OSFile)(os.fsencode(path))


def by_batch(rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Split ascending rows by the batch that holds them."""
    batches, starts = np.unique(rows // BATCH_ROWS, return_index=True)
    for batch, inside in zip(batches, np.split(rows, starts[1:]), strict=True):
        yield int(batch), inside - batch * BATCH_ROWS
