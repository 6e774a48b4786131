"""Metadata rows by id in O(1): Arrow IPC files of equal batches, memory-mapped.

Every batch of a file but the last has BATCH_ROWS rows, so that a row's place is arithmetic.
"""

from __future__ import annotations

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
from pairdex.store.cells import Cell, cell_of

__all__ = ["BATCH_ROWS", "MetadataFile", "MetadataWriter", "writing_metadata"]

BATCH_ROWS = 16_384  # small enough to read a few rows cheaply, large enough to scan fast
_KEPT_BATCHES = 1_024  # batches whose cells stay open: some 10 MB, of 16 million rows
_FEW_ROWS = 100  # so many are proved one by one in the time of a whole batch


class MetadataWriter:
    """Appends tables of one schema, cut into equal batches."""

    def __init__(self, stream: pa.ipc.RecordBatchFileWriter, schema: pa.Schema) -> None:
        self._stream = stream
        self._waiting = schema.empty_table()

    def append(self, table: pa.Table) -> None:
        """Write the rows of `table` behind the earlier ones."""
        self._waiting = pa.concat_tables([self._waiting, table])
        whole = len(self._waiting) // BATCH_ROWS * BATCH_ROWS
        self._write(self._waiting.slice(0, whole))
        self._waiting = self._waiting.slice(whole)

    def finish(self) -> None:
        """Write the last, shorter batch."""
        self._write(self._waiting)

    def _write(self, table: pa.Table) -> None:
        for start in range(0, len(table), BATCH_ROWS):
            rows = table.slice(start, BATCH_ROWS).combine_chunks()
            for batch in rows.to_batches():
                self._stream.write_batch(batch)


@contextmanager
def writing_metadata(path: Path, schema: pa.Schema) -> Iterator[MetadataWriter]:
    """Give a writer whose file becomes `path` when the block ends, and vanishes if it raises."""
    with atomic.replacing(path) as file, pa.ipc.new_file(file, schema) as stream:
        writer = MetadataWriter(stream, schema)
        yield writer
        writer.finish()


class MetadataFile:
    """One part's metadata, memory-mapped, or read batch by batch so that memory stays flat.

    Raises
    ------
    DamagedFile
        The file is no Arrow IPC file, or not cut as the format says.
    """

    def __init__(
        self,
        path: Path,
        rows: int,
        *,
        mapped: bool = True,
        remedy: str = "build the collection again",
    ) -> None:
        opened = pa.memory_map if mapped else pa.OSFile
        self._path = path
        self._remedy = remedy
        self._rows = rows
        self._proved: set[int] = set()  # batches
        self._cells: dict[int, list[Cell]] = {}  # of batches, the newest last
        try:
            self._file = pa.ipc.open_file(opened(os.fsencode(path)))
            self.schema: pa.Schema = self._file.schema
            self.schema.names  # noqa: B018 - decodes them
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error
        if self._file.num_record_batches != -(-rows // BATCH_ROWS):
            raise self._damaged(f"it has not the batches of {rows:,} rows")

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order, a batch at a time, mapped."""
        for index in range(self._file.num_record_batches):
            yield self.table(index)

    def table(self, index: int) -> pa.Table:
        """Return the rows of one batch: BATCH_ROWS from row index x BATCH_ROWS on, or the last."""
        return pa.Table.from_batches([self._checked(index)])

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return the given rows (all in range) in the given order."""
        order = np.argsort(rows, kind="stable")
        pieces = [
            self._checked(index, inside).take(pa.array(inside))
            for index, inside in _by_batch(rows[order])
        ]
        taken = pa.Table.from_batches(pieces, self.schema)
        return taken.take(pa.array(np.argsort(order, kind="stable")))

    def values(self, rows: Sequence[int]) -> list[list[Any]]:
        """Return rows (all in range) as lists of values that JSON can carry, a column each."""
        try:
            return [
                [cell(row % BATCH_ROWS) for cell in self._open(row // BATCH_ROWS)] for row in rows
            ]
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise self._damaged(error) from error

    def _open(self, index: int) -> list[Cell]:
        """Return the cells of a batch's columns, kept open."""
        cells = self._cells.get(index)
        if cells is None:
            batch = self._file.get_batch(index)
            if len(batch) != min(BATCH_ROWS, self._rows - index * BATCH_ROWS):
                raise self._damaged(f"its batch {index} has {len(batch):,} rows")
            cells = [cell_of(column) for column in batch.columns]
            self._cells[index] = cells
            while len(self._cells) > _KEPT_BATCHES:
                self._cells.pop(next(iter(self._cells)), None)
        return cells

    def _checked(self, index: int, rows: NDArray[np.int64] | None = None) -> pa.RecordBatch:
        """Return a batch of which the given rows, or all, are proved to lie within the file.

        Damaged offsets would make Arrow read foreign memory. The whole batch is proved once, and not
        at all for a few rows of it.
        """
        try:
            batch = self._file.get_batch(index)
            if len(batch) != min(BATCH_ROWS, self._rows - index * BATCH_ROWS):
                raise self._damaged(f"its batch {index} has {len(batch):,} rows")
            if index not in self._proved and rows is not None and len(rows) <= _FEW_ROWS:
                for row in rows:
                    batch.slice(row, 1).validate(full=True)
            elif index not in self._proved:
                batch.validate(full=True)
                self._proved.add(index)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        return batch

    def _damaged(self, reason: object) -> DamagedFile:
        return DamagedFile(
            f"{self._path} is damaged: {str(reason).splitlines()[0]}; {self._remedy}"
        )


def _by_batch(rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Split ascending rows by the batch that holds them."""
    batches, starts = np.unique(rows // BATCH_ROWS, return_index=True)
    for batch, inside in zip(batches, np.split(rows, starts[1:]), strict=True):
        yield int(batch), inside - batch * BATCH_ROWS
