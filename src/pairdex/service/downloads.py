"""Hits as a file: JSON lines, CSV, Parquet, or URLs for img2dataset, written in pieces."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.files import json_values
from pairdex.search import FIRST
from pairdex.service.catalogue import ServedCollection
from pairdex.service.lookup import find_table, vectors_of
from pairdex.service.request_models import DownloadRequest

__all__ = ["FORMATS", "MEDIA", "file_name", "find_rows", "guarded", "write"]

_PIECE_ROWS = 500  # written at once: some hundred kilobytes
# Spreadsheets treat texts with these first characters as formulas; captions are untrusted.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

MEDIA = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "urls": "text/plain",
}


def find_rows(served: ServedCollection, asked: DownloadRequest) -> pa.Table:
    """Return the hits, with the columns of every hit first, and with vectors if requested."""
    table = find_table(served, asked).table
    for name in FIRST:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), pa.string()))
    table = table.select([*FIRST, *(name for name in table.column_names if name not in FIRST)])
    if asked.vectors:
        rows = vectors_of(served, table["id"].to_pylist(), asked.on)
        flat = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        table = table.append_column("vector", flat)
    return table


def write(table: pa.Table, form: str) -> Iterator[bytes]:
    """Yield the pieces of a file of the rows in one of FORMATS."""
    return FORMATS[form](table)


def file_name(served: ServedCollection, form: str) -> str:
    """Return a file name of letters, digits, `-` and `_`."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", served.name).strip("-") or "collection"
    return f"{stem}.{'txt' if form == 'urls' else form}"


def guarded(value: Any) -> Any:  # noqa: ANN401 - a cell
    """Return a cell that spreadsheets do not treat as a formula: a quote is put before one."""
    if isinstance(value, (list, dict)):
        value = json.dumps(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, len(table), _PIECE_ROWS):
        yield table.slice(first, _PIECE_ROWS)


def _jsonl(table: pa.Table) -> Iterator[bytes]:
    for piece in _pieces(table):
        lines = (json.dumps(row, separators=(",", ":")) for row in json_values.rows(piece))
        yield "".join(f"{line}\n" for line in lines).encode()


def _csv(table: pa.Table) -> Iterator[bytes]:
    yield _csv_rows([[guarded(name) for name in table.column_names]])
    for piece in _pieces(table):
        yield _csv_rows([map(guarded, row.values()) for row in json_values.rows(piece)])


def _csv_rows(rows: list[Any]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode(errors="replace")


def _parquet(table: pa.Table) -> Iterator[bytes]:
    pieces = _DrainedBuffer()
    with pq.ParquetWriter(pieces, table.schema) as writer:
        for piece in _pieces(table):
            writer.write_table(piece)
            yield pieces.take()
    yield pieces.take()


class _DrainedBuffer(io.RawIOBase):
    """Write-only buffer that can be drained while keeping its write offset."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self._waiting += data
        self._bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self._bytes

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def _urls(table: pa.Table) -> Iterator[bytes]:
    """Yield one URL per line; img2dataset reads them as CSV with one column, so commas are quoted."""
    for piece in _pieces(table):
        urls = (url.strip() for url in piece["url"].to_pylist() if url is not None)
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([url] for url in urls if url and url.isprintable())
        yield stream.getvalue().encode()


FORMATS: dict[str, Callable[[pa.Table], Iterator[bytes]]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "urls": _urls,
}
