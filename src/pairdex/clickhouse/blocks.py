"""A collection's rows as Arrow record batches for ClickHouse, a range of ids at a time."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.clickhouse.columns import sent
from pairdex.clickhouse.schema import Table
from pairdex.exports.clickhouse import tutorial_columns, vector_column
from pairdex.files.vectors import open_vectors
from pairdex.store.metadata import MetadataFile
from pairdex.store.store import Store, VectorField

__all__ = ["Rows"]

_BATCH_ROWS = 4096  # rows in memory at a time: 8 MB of 512-dimensional vectors of two kinds


class Rows:
    """The rows of a collection in a table's columns; one part's metadata is open at a time."""

    def __init__(self, store: Store, table: Table) -> None:
        self._store, self._table = store, table
        # Columns computed after the build are small and stored elsewhere.
        released = store.manifest.column_names
        self._computed = [name for name in table.extra if name not in released]
        self._opened: tuple[int, MetadataFile] | None = None

    def stream(self, ids: NDArray[np.int64]) -> Iterator[bytes]:
        """Yield an Arrow stream of the rows of ascending `ids` (at least one), in chunks."""
        sink = _Sink()
        batches = self._batches(ids)
        first = next(batches)
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), first.schema) as stream:
            for batch in itertools.chain([first], batches):
                stream.write_table(batch)
                yield from sink.taken()
        yield from sink.taken()

    def _batches(self, ids: NDArray[np.int64]) -> Iterator[pa.Table]:
        ends = np.cumsum([part.rows for part in self._store.manifest.parts])
        parts = np.searchsorted(ends, ids, side="right")
        for index in np.unique(parts):
            of_part = ids[parts == index]
            for start in range(0, len(of_part), _BATCH_ROWS):
                yield self._of_part(int(index), of_part[start : start + _BATCH_ROWS])

    def _of_part(self, index: int, ids: NDArray[np.int64]) -> pa.Table:
        rows = ids - self._store.first_id(index)
        metadata = self._metadata(index).take(rows)
        for name in self._computed:
            metadata = metadata.append_column(name, self._store.read(ids, [name])[name])
        columns = tutorial_columns(ids, metadata)
        for on in self._table.kinds:
            columns[vector_column(on)] = self._vectors(index, on, rows)
        for name in self._table.extra:
            columns[name] = sent(metadata[name])
        # Columns declared non-nullable are passed on as they are, without a copy.
        fields = [
            pa.field(name, column.type, nullable=name in self._table.extra)
            for name, column in columns.items()
        ]
        return pa.table(list(columns.values()), pa.schema(fields))

    def _metadata(self, index: int) -> MetadataFile:
        """Read the metadata of a part without mapping it: mapped pages would stay in memory."""
        if self._opened is None or self._opened[0] != index:
            part = self._store.manifest.parts[index]
            path = self._store.path / part.files["metadata"].path
            self._opened = index, MetadataFile(path, part.rows, mapped=False)
        return self._opened[1]

    def _vectors(self, index: int, on: VectorField, rows: NDArray[np.int64]) -> pa.Array:
        """Return the stored vectors as lists; the file is unmapped when the call ends."""
        path = self._store.path / self._store.manifest.parts[index].files[on].path
        mapped = open_vectors(path).mapped()
        values = mapped[rows]
        ends = np.arange(len(rows) + 1, dtype=np.int32) * self._store.dim
        kind = pa.list_(pa.field("item", pa.float16(), nullable=False))
        return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)), kind)


class _Sink(io.RawIOBase):
    """Write-only buffer that can be drained."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> list[bytes]:
        """Return the buffered bytes and clear the buffer."""
        pieces, self._pieces = self._pieces, []
        return pieces
