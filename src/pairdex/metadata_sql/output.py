"""Write a statement's rows as CSV, JSON or Parquet, batch by batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from pairdex.errors import InvalidArgument
from pairdex.files import json_values

__all__ = ["FileFormat", "format_of", "write_rows"]

FileFormat = Literal["csv", "json", "parquet"]
_FORMATS: dict[str, FileFormat] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def format_of(path: Path) -> FileFormat:
    """Return the format for a file's suffix.

    Raises
    ------
    InvalidArgument
        The suffix is not a known format.
    """
    if path.suffix not in _FORMATS:
        raise InvalidArgument(
            f"cannot write rows to {path}: got the suffix {path.suffix!r}, "
            f"expected {', '.join(_FORMATS)}",
            field="out",
        )
    return _FORMATS[path.suffix]


def write_rows(rows: pa.RecordBatchReader, file: BinaryIO, kind: FileFormat) -> int:
    """Write all rows to an open file and return the number of rows.

    CSV starts with a header line. NULL is an empty field, and an empty text is `""`. Values
    without a CSV form are written as JSON. The JSON format is one array with an object per row.
    """
    writers = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}
    return writers[kind](rows, file)


def _write_parquet(rows: pa.RecordBatchReader, file: BinaryIO) -> int:
    count = 0
    with pq.ParquetWriter(file, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            count += len(batch)
    return count


def _write_csv(rows: pa.RecordBatchReader, file: BinaryIO) -> int:
    count = 0
    schema = pa.schema([(field.name, _flat(field.type)) for field in rows.schema])
    with pc.CSVWriter(file, schema) as writer:
        for batch in rows:
            columns = [
                _as_column(column, kind)
                for column, kind in zip(batch.columns, schema.types, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema))
            count += len(batch)
    return count


def _flat(kind: pa.DataType) -> pa.DataType:
    flat = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return kind if flat else pa.string()


def _as_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_nested(column.type):
        return _as_text(column)
    if not _has_text(column.type):
        plain = (json_values.plain(value) for value in column.to_pylist())
        return pa.array([v if v is None else str(v) for v in plain], pa.string())
    return column.cast(kind)


def _has_text(kind: pa.DataType) -> bool:
    """Whether Arrow writes every value of a type as text: bytes and intervals become Python's."""
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return not pa.types.is_interval(kind) and not any(one(kind) for one in binary)


def _as_text(column: pa.Array) -> pa.Array:
    values = [json_values.plain(value) for value in column.to_pylist()]
    return pa.array(
        [v if v is None else json.dumps(v, ensure_ascii=False) for v in values], pa.string()
    )


def _write_json(rows: pa.RecordBatchReader, file: BinaryIO) -> int:
    count = 0
    file.write(b"[")
    for batch in rows:
        for row in json_values.rows(pa.Table.from_batches([batch])):
            file.write(b",\n " if count else b"\n ")
            file.write(json.dumps(row, ensure_ascii=False).encode())
            count += 1
    file.write(b"\n]\n")
    return count
