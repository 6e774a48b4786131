"""Several tables of one kind as one source, in the natural order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa

from pairdex.encoders.path_table import PathTable
from pairdex.encoders.sources import Sample
from pairdex.encoders.tar_table import common_schema

__all__ = ["TableSource"]


class TableSource:
    """The pictures of several Parquet tables.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch
        A table cannot be read, has no column of pictures, or columns of other types than the others.
    """

    facts: Sequence[str] = ()
    linked: Sequence[str] = ()

    def __init__(self, root: Path, paths: Sequence[Path]) -> None:
        self.root = root
        self._tables = [PathTable(path, root=root) for path in paths]
        self.schema: pa.Schema = common_schema([table.schema for table in self._tables])
        self.has_captions = any(table.has_captions for table in self._tables)
        self._ends = np.cumsum([len(table) for table in self._tables], dtype=np.int64)

    @property
    def notes(self) -> Sequence[tuple[str, str]]:
        """Notes on the tables."""
        return [note for table in self._tables for note in table.notes]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the samples from `start` to before `stop`; they are read on access."""
        return _Joined(self, start, stop)

    def stamp(self, start: int, stop: int) -> object:
        """Return the tables of these samples, and the range within each."""
        return [table.stamp(first, end) for table, first, end in self._touched(start, stop)]

    def listed(self, start: int, stop: int) -> list[Sample]:
        """Return samples with their pictures, as `samples`, at once."""
        found: list[Sample] = []
        for table, first, end in self._touched(start, stop):
            places = [
                table.schema.names.index(n) if n in table.schema.names else None
                for n in self.schema.names
            ]
            for sample in table.samples(first, end):
                values = tuple(None if i is None else sample.values[i] for i in places)
                found.append(replace(sample, values=values))
        return found

    def _touched(self, start: int, stop: int) -> Iterator[tuple[PathTable, int, int]]:
        for table, end in zip(self._tables, self._ends.tolist(), strict=True):
            first = end - len(table)
            if first < stop and start < end:
                yield table, max(0, start - first), min(len(table), stop - first)


class _Joined(Sequence[Sample]):
    """Samples read a few at a time, in order, since pictures may be large."""

    def __init__(self, source: TableSource, start: int, stop: int) -> None:
        self._source, self._start, self._stop = source, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...

    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice):
            first, last, _ = place.indices(len(self))
            return self._source.listed(self._start + first, self._start + last)
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        row = self._start + place % len(self)
        return self._source.listed(row, row + 1)[0]
