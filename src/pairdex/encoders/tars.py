"""WebDataset tars as a source, with img2dataset's tables if they exist.

Before encoding, each tar or its table is scanned once for the number of samples and the columns.
The samples are listed later, on demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairdex.encoders.columns import JsonColumns, free_names
from pairdex.encoders.folder import natural
from pairdex.encoders.sources import Sample, file_stamp
from pairdex.encoders.tar_members import tar_samples
from pairdex.encoders.tar_table import (
    common_schema,
    has_captions,
    kept_fields,
    paired,
    table_beside,
)
from pairdex.errors import DamagedFile, Mismatch
from pairdex.parts.shards import read_shard_table, shard_schema
from pairdex.wording import counted

__all__ = ["TarSource", "open_tars"]


@dataclass(frozen=True)
class _Shard:
    """A scanned tar; `problem` applies to all its samples."""

    tar: Path
    table: Path | None
    rows: int
    has_captions: bool
    schema: pa.Schema | None = None  # of its table
    columns: JsonColumns | None = None  # of its own JSON
    problem: str = ""


class TarSource:
    """The samples of several tars, in the natural order of the tars' names.

    Parameters
    ----------
    columns
        How the values of JSON become those of columns; None where tables have them.
    keys
        What tables call the columns of `schema`.
    """

    def __init__(
        self,
        root: Path,
        shards: Sequence[_Shard],
        schema: pa.Schema,
        *,
        columns: JsonColumns | None = None,
        keys: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.facts: Sequence[str] = ()
        self.linked: Sequence[str] = ()
        self.notes: Sequence[tuple[str, str]] = ()
        self.schema = schema
        self.has_captions = any(shard.has_captions for shard in shards)
        self._shards = shards
        self._columns = columns
        self._keys = keys
        self._ends = np.cumsum([shard.rows for shard in shards], dtype=np.int64)
        self._list = lru_cache(maxsize=1)(self._listed)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the samples from `start` to before `stop`.

        The last row of a table also brings the problems of its tar that belong to no single row.
        """
        found: list[Sample] = []
        for index in self._touched(start, stop):
            first, end = self._first(index), int(self._ends[index])
            found += self._list(index)[
                max(0, start - first) : None if stop >= end else stop - first
            ]
        return found

    def stamp(self, start: int, stop: int) -> object:
        """Return the tars and tables of these samples, and the range within each."""
        touched = self._touched(start, stop)
        shards = [self._shards[index] for index in touched]
        files = [
            (one.tar.name, file_stamp(one.tar), one.table and file_stamp(one.table))
            for one in shards
        ]
        return [files, start - self._first(touched[0]), stop - start]

    def _first(self, index: int) -> int:
        return int(self._ends[index]) - self._shards[index].rows

    def _touched(self, start: int, stop: int) -> range:
        first, last = np.searchsorted(self._ends, [start, stop - 1], side="right")
        return range(int(first), int(last) + 1)

    def _listed(self, index: int) -> list[Sample]:
        """List a tar's samples: at least as many as were counted."""
        shard = self._shards[index]
        if shard.problem:
            samples = [self._without_picture(shard)]
        elif shard.table is not None:
            samples = self._of_table(shard.tar, shard.table)
        else:
            samples = self._of_members(shard.tar)
        if len(samples) < shard.rows:
            raise Mismatch(
                f"{shard.tar} has {counted(len(samples), 'sample')}, it had {shard.rows:,} when they were "
                "counted: it is being written; run the same command again"
            )
        return samples

    def _without_picture(self, shard: _Shard) -> Sample:
        return Sample(shard.tar.name, "", (None,) * len(self.schema), None, shard.problem)

    def _of_members(self, tar: Path) -> list[Sample]:
        assert self._columns is not None
        return [
            Sample(
                f"{tar.name}/{one.picture or one.key}" if one.key else tar.name,
                one.caption,
                self._columns.values(one.values),
                None if one.problem else one.place,
                one.problem,
                one.note,
            )
            for one in tar_samples(tar)
        ]

    def _of_table(self, tar: Path, table: Path) -> list[Sample]:
        return paired(tar, read_shard_table(table), list(tar_samples(tar)), self._keys)


def open_tars(root: Path, tars: Sequence[Path]) -> TarSource:
    """Scan tars and their tables.

    Raises
    ------
    Mismatch
        The tables' columns do not agree in type.
    """
    ordered = sorted(tars, key=lambda path: natural(path.name))
    tabled = any(table_beside(tar) for tar in ordered)
    shards = [_of_table(tar) if tabled else _of_json(tar) for tar in ordered]
    if not tabled:
        columns = JsonColumns({})
        for shard in shards:
            columns.join(shard.columns or columns)
        return TarSource(root, shards, columns.schema, columns=columns)
    fields = kept_fields(common_schema([shard.schema for shard in shards if shard.schema]))
    names = free_names([field.name for field in fields])
    schema = pa.schema([(name, one.type) for name, one in zip(names, fields, strict=True)])
    return TarSource(root, shards, schema, keys=[field.name for field in fields])


def _of_json(tar: Path) -> _Shard:
    columns, rows, captions = JsonColumns({}), 0, False
    for sample in tar_samples(tar):
        columns.see(sample.values)
        rows += 1
        captions = captions or bool(sample.caption)
    return _Shard(tar, None, rows, captions, columns=columns)


def _of_table(tar: Path) -> _Shard:
    table = table_beside(tar)
    if table is None:
        lacking = f"{tar.with_suffix('.parquet').name} is missing beside it: it was not finished"
        return _Shard(tar, None, 1, has_captions=False, problem=f"{lacking}; fetch it again")
    try:
        schema, rows = shard_schema(table)
    except DamagedFile as error:
        return _Shard(tar, table, 1, has_captions=False, problem=str(error))
    return _Shard(tar, table, rows, has_captions(schema), schema=schema)
