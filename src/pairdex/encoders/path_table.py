"""A table as a source: Parquet, CSV, TSV or JSON lines with a column of paths, read in order.

In Parquet the column may hold the pictures themselves: bytes, or Hugging Face's struct of bytes and path.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from pairdex.encoders.captions import CAPTION_NAMES, one_line, split_captions
from pairdex.encoders.columns import free_names
from pairdex.encoders.sources import Place, Sample, file_stamp
from pairdex.errors import DamagedFile, Mismatch, MissingFile
from pairdex.files.boundary import reading

__all__ = ["SUFFIXES", "PathTable", "holds_pictures"]

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")

_PATHS = ("image_path", "path", "file_path", "filepath", "file", "filename", "file_name", "image")
_PICTURES = ("image", "jpg", "jpeg", "png", "webp", "img", "picture", "image_bytes", "bytes")
_MEASURED = ("width", "height")  # measured when the picture is decoded
_BATCH_ROWS = 10_000
_PICTURE_ROWS = 64  # rows of a table with pictures: some hundred megabytes of large ones
_MAX_HEADER_BYTES = 1 << 20
_BLOCK_BYTES = 8 << 20  # of CSV read at once


class PathTable:
    """The pictures that a table holds, or names relative to its folder, in its order.

    Values of CSV and TSV stay texts, even if they look like numbers.

    Parameters
    ----------
    root
        Base folder if the table is one of several; default: the table's folder.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch
        The table does not exist, is unreadable, or lacks a column of paths.
    """

    facts: Sequence[str] = ()
    linked: Sequence[str] = ()
    notes: Sequence[tuple[str, str]] = ()

    def __init__(self, path: Path, *, root: Path | None = None) -> None:
        self.root = root or path.parent
        self._path = path
        if not path.is_file():
            raise MissingFile(f"{path} does not exist; expected a table of pictures")
        schema = self._schema()
        self._picture, self.holds_pictures = _picture_column(schema)
        if self._picture is None:
            raise Mismatch(
                f"{path} has no column of paths or pictures: its columns are "
                f"{', '.join(schema.names)}, expected one of {', '.join(_PATHS)}"
            )
        self._caption = _column(schema.names, CAPTION_NAMES)
        own = [self._picture, *_MEASURED]
        if self._caption and not pa.types.is_nested(schema.field(self._caption).type):
            own.append(self._caption)  # the first of a list is the caption; the list is kept
        fields = [field for field in schema if field.name not in own]
        self._further = [field.name for field in fields]
        names = free_names(self._further)
        self.schema = pa.schema(
            [(name, _stored(f.type)) for name, f in zip(names, fields, strict=True)]
        )
        self._rows, self.has_captions = self._counted()
        self._stamp = file_stamp(path)
        self._reader: Iterator[pa.Table] = iter(())
        self._next = -1  # the reader's next row
        self._rest = schema.empty_table()

    def __len__(self) -> int:
        return self._rows

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the pictures from `start` to before `stop`; sequential calls are cheap."""
        table = self._slice(start, stop)
        if len(table) != stop - start or file_stamp(self._path) != self._stamp:
            raise Mismatch(
                f"{self._path} has changed while it was read; run the same command again"
            )
        columns = [table[name].to_pylist() for name in self._further]
        captions = table[self._caption].to_pylist() if self._caption else [None] * len(table)
        pictures = table[self._picture].to_pylist()
        return [
            self._sample(row, picture, caption, tuple(values))
            for row, (picture, caption, *values) in enumerate(
                zip(pictures, captions, *columns, strict=True), start
            )
        ]

    def stamp(self, start: int, stop: int) -> object:
        """Return the states of the table and the pictures' files, and the range of rows."""
        name = self._path.relative_to(self.root).as_posix()
        if self.holds_pictures:
            return [name, self._stamp, start, stop]
        pictures = [one.place and file_stamp(one.place.path) for one in self.samples(start, stop)]
        return [name, self._stamp, start, pictures]

    def _sample(
        self, row: int, picture: object, caption: object, values: tuple[object, ...]
    ) -> Sample:
        text = one_line(next(iter(split_captions(caption)), ""))
        data, said = _bytes_and_path(picture)
        if data is not None:
            table = self._path.relative_to(self.root).as_posix()
            return Sample(f"{table}/{said or row}", text, values, Place("", data=data))
        name = said.strip()
        if not name:
            return Sample(f"row {row}", text, values, None, "the row names no picture")
        return Sample(name, text, values, Place(os.fspath(self.root / name)))

    def _slice(self, start: int, stop: int) -> pa.Table:
        if start < self._next - len(self._rest) or self._next < 0:
            self._reader, self._next = self._tables(), 0
            self._rest = self._rest.slice(0, 0)
        pieces, have = [self._rest], self._next - start
        while have < stop - start and (table := next(self._reader, None)) is not None:
            pieces.append(table)
            self._next += len(table)
            have += len(table)
            if self._next <= start:
                pieces = []
        joined = pa.concat_tables([self._rest.slice(0, 0), *pieces])
        first = self._next - len(joined)
        self._rest = joined.slice(max(0, start - first))
        return joined.slice(start - first, stop - start)

    def _counted(self) -> tuple[int, bool]:
        rows, captions = 0, False
        only = None if self._caption is None else [self._caption]
        if self.holds_pictures and only is None:
            return pq.read_metadata(self._path).num_rows, False
        for table in self._tables(only):
            rows += len(table)
            if self._caption and not captions:
                captions = any(split_captions(one) for one in table[self._caption].to_pylist())
        if not rows:
            raise MissingFile(f"{self._path} has no rows; expected a row for each picture")
        return rows, captions

    def _schema(self) -> pa.Schema:
        if self._path.suffix.lower() == ".parquet":
            try:
                return pq.read_schema(self._path)
            except (pa.ArrowException, OSError) as error:
                raise self._unreadable(error) from error
        table = next(self._tables(), None)
        if table is None:
            raise MissingFile(f"{self._path} has no rows; expected a row for each picture")
        return table.schema

    def _tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order; from Parquet, only the named columns, if any."""
        suffix = self._path.suffix.lower()
        try:
            if suffix == ".parquet":
                with pq.ParquetFile(self._path) as file:
                    holds = columns is None and _picture_column(file.schema_arrow)[1]
                    rows = _PICTURE_ROWS if holds else _BATCH_ROWS
                    for batch in file.iter_batches(rows, columns=columns):
                        yield pa.Table.from_batches([batch])
            elif suffix in (".jsonl", ".ndjson"):
                for batch in pj.read_json(self._path).to_batches(_BATCH_ROWS):
                    yield pa.Table.from_batches([batch])
            else:
                with self._csv() as reader:
                    for batch in reader:
                        yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DamagedFile:
        return DamagedFile(f"{self._path} cannot be read: {str(error).splitlines()[0]}")

    def _csv(self) -> pc.CSVStreamingReader:
        parse = pc.ParseOptions(
            delimiter="\t" if self._path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
        )
        with self._path.open("rb") as file:
            header = file.readline(_MAX_HEADER_BYTES).decode("utf-8-sig", "replace")
        with reading(self._path):
            names = next(csv.reader([header], delimiter=parse.delimiter), [])
        convert = pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        )
        read = pc.ReadOptions(block_size=_BLOCK_BYTES)
        return pc.open_csv(
            self._path, read_options=read, parse_options=parse, convert_options=convert
        )


def holds_pictures(path: Path) -> bool:
    """Whether a file is a Parquet table with a column of pictures."""
    try:
        return _picture_column(pq.read_schema(path))[1]
    except (pa.ArrowException, OSError):
        return False


def _picture_column(schema: pa.Schema) -> tuple[str | None, bool]:
    """Return the column of pictures, and whether it holds them; else the one of their paths."""
    held = [field.name for field in schema if _is_picture(field)]
    if held:
        return _column(held, _PICTURES) or held[0], True
    plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
    return _column(plain, _PATHS), False


def _is_picture(field: pa.Field) -> bool:
    kind = field.type
    if pa.types.is_struct(kind):
        return {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes and field.name.lower() in _PICTURES


def _bytes_and_path(value: object) -> tuple[bytes | None, str]:
    """Return a cell's picture: its bytes, and its path or name."""
    if isinstance(value, dict):
        data, said = value.get("bytes"), value.get("path")
        return (data if isinstance(data, bytes) else None), "" if said is None else str(said)
    if isinstance(value, bytes):
        return value, ""
    return None, "" if value is None else str(value)


def _column(names: Sequence[str], known: Sequence[str]) -> str | None:
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[name] for name in known if name in lowered), None)


def _stored(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if kind == pa.null() else kind
