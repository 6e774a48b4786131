"""A table of paths as a source: Parquet, CSV or TSV with a column of pictures, read from front to back."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from pairdex.encoders.columns import free_names
from pairdex.encoders.sources import Place, Sample, file_stamp
from pairdex.errors import DamagedFile, Mismatch, MissingFile

__all__ = ["SUFFIXES", "PathTable"]

SUFFIXES = (".parquet", ".csv", ".tsv")

_PATHS = ("image_path", "path", "file_path", "filepath", "file", "filename", "file_name", "image")
_CAPTIONS = ("caption", "text", "title", "name")
_MEASURED = ("width", "height")  # measured when the picture is decoded
_BATCH_ROWS = 10_000
_BLOCK_BYTES = 8 << 20  # of CSV read at once


class PathTable:
    """The pictures that a table names, relative to its folder, in its order.

    The values of CSV and TSV stay texts, whatever they look like.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch
        There is no such table, it cannot be read, or it has no column of paths.
    """

    def __init__(self, path: Path) -> None:
        self.root = path.parent
        self._path = path
        if not path.is_file():
            raise MissingFile(f"{path} does not exist; expected a table of pictures")
        schema = self._schema()
        self._picture = self._column(schema.names, _PATHS)
        if self._picture is None:
            raise Mismatch(
                f"{path} has no column of paths: its columns are {', '.join(schema.names)}, "
                f"expected one of {', '.join(_PATHS)}"
            )
        self._caption = self._column(schema.names, _CAPTIONS)
        own = (self._picture, self._caption, *_MEASURED)
        fields = [field for field in schema if field.name not in own]
        self._further = [field.name for field in fields]
        names = free_names(self._further)
        self.schema = pa.schema(
            [(name, _stored(f.type)) for name, f in zip(names, fields, strict=True)]
        )
        self._rows, self.has_captions = self._counted()
        self._stamp = file_stamp(path)
        self._reader: Iterator[pa.Table] = iter(())
        self._next = -1  # the row that the reader gives next
        self._rest = schema.empty_table()

    def __len__(self) -> int:
        return self._rows

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the pictures from `start` to before `stop`; going on from the last ones is cheap."""
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
        """Return the table as it stands, which rows of it, and the pictures' files."""
        pictures = [one.place and file_stamp(one.place.path) for one in self.samples(start, stop)]
        return [self._path.name, self._stamp, start, pictures]

    def _sample(
        self, row: int, picture: object, caption: object, values: tuple[object, ...]
    ) -> Sample:
        text = "" if caption is None else " ".join(str(caption).split())
        name = "" if picture is None else str(picture).strip()
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
        for table in self._tables():
            rows += len(table)
            if self._caption and not captions:
                captions = any(str(one).strip() for one in table[self._caption].to_pylist() if one)
        if not rows:
            raise MissingFile(f"{self._path} has no rows; expected a row for each picture")
        return rows, captions

    def _schema(self) -> pa.Schema:
        table = next(self._tables(), None)
        if table is None:
            raise MissingFile(f"{self._path} has no rows; expected a row for each picture")
        return table.schema

    def _tables(self) -> Iterator[pa.Table]:
        try:
            if self._path.suffix.lower() == ".parquet":
                file = pq.ParquetFile(self._path)
                for batch in file.iter_batches(_BATCH_ROWS):
                    yield pa.Table.from_batches([batch])
                return
            with self._csv() as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise DamagedFile(f"{self._path} cannot be read: {reason}") from error

    def _csv(self) -> pc.CSVStreamingReader:
        parse = pc.ParseOptions(
            delimiter="\t" if self._path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
        )
        with self._path.open("rb") as file:
            header = file.readline().decode("utf-8-sig", "replace")
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

    @staticmethod
    def _column(names: Sequence[str], known: Sequence[str]) -> str | None:
        lowered = {name.lower(): name for name in reversed(names)}
        return next((lowered[name] for name in known if name in lowered), None)


def _stored(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if kind == pa.null() else kind
