"""Computed columns (scores): one file per part, joined to the metadata when it is read.

`scores/NAME/score.json` is written last and lists the files, each with the checksum of the vectors it was
computed from. Rows of parts that were added later have no value until they are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, MissingFile
from pairdex.files import atomic
from pairdex.files.foreign_names import local_name
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import sealed_record
from pairdex.store.manifest import Manifest, PartEntry, VectorField
from pairdex.store.metadata import MetadataFile
from pairdex.store.ranged_metadata import RangedMetadata

__all__ = [
    "NOTE",
    "SCORES",
    "Joined",
    "PartMetadata",
    "ScoreNote",
    "ScoredPart",
    "joined",
    "open_score",
    "open_values",
    "read_score",
    "read_scores",
    "score_folder",
    "score_names",
    "with_same_scores",
    "with_scores",
    "write_score",
]

SCORES = "scores"
TYPE = pa.float32()

NOTE = "score.json"
_FORMAT, _VERSION = "pairdex-score", 1
_ATTEMPTS = 3  # files may be replaced after the note is read and before they are opened


@dataclass(frozen=True)
class ScoredPart:
    """The file of one part's values; `source` is the checksum of the vectors they were computed from."""

    path: str
    rows: int
    bytes: int
    checksum: str
    source: str


@dataclass(frozen=True)
class ScoreNote:
    """The content of `score.json`: the column, the release and vectors that made it, and its files."""

    name: str
    created_by: str
    on: VectorField
    head: dict[str, Any]
    parts: list[ScoredPart]

    def of(self, part: PartEntry) -> ScoredPart | None:
        """Return the file of a part's values; None if the part is not scored yet."""
        source = part.files[self.on].checksum
        matching = (one for one in self.parts if (one.source, one.rows) == (source, part.rows))
        return next(matching, None)

    def scored_rows(self, manifest: Manifest) -> int:
        """Return the number of rows that have a value."""
        return sum(part.rows for part in manifest.parts if self.of(part) is not None)


def score_folder(collection: Path, name: str) -> Path:
    """Return the folder of a column's files, which may not exist."""
    return collection / SCORES / name


def score_names(collection: Path) -> list[str]:
    """Return the names of all computed columns."""
    return sorted(path.parent.name for path in (collection / SCORES).glob(f"*/{NOTE}"))


def read_scores(collection: Path) -> list[ScoreNote]:
    """Return the notes of all computed columns, sorted by name.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        A note is damaged, or was written by a newer release.
    """
    notes = (read_score(collection, name) for name in score_names(collection))
    return [note for note in notes if note is not None]


def read_score(collection: Path, name: str) -> ScoreNote | None:
    """Return the note of one computed column; None if it does not exist.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The note is damaged, or was written by a newer release.
    """
    try:
        return open_score(collection, name)
    except MissingFile:
        return None


def open_score(collection: Path, name: str) -> ScoreNote:
    """Return the note of a computed column.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        The note does not exist, is damaged, or was written by a newer release.
    """
    path = score_folder(collection, name) / NOTE
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(
            f"{collection} has no scores named {name}; make them with pairdex score"
        ) from error
    return _parsed(path, data)


def write_score(collection: Path, note: ScoreNote) -> None:
    """Write the note, which makes the column visible to readers.

    Raises
    ------
    WriteFailed
        The note cannot be written; an existing note stays unchanged.
    """
    content = {"format": _FORMAT, "version": _VERSION, **asdict(note)}
    atomic.write_bytes(score_folder(collection, note.name) / NOTE, sealed(content))


class Joined:
    """A part's metadata followed by its computed columns, with the methods of `MetadataFile`."""

    def __init__(
        self,
        metadata: MetadataFile | RangedMetadata,
        columns: Sequence[tuple[str, MetadataFile | None]],
    ) -> None:
        self._metadata = metadata
        self._columns = columns
        fields = [pa.field(name, TYPE) for name, _ in columns]
        self.schema: pa.Schema = pa.schema([*metadata.schema, *fields])

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order, one batch at a time; see `MetadataFile.tables`."""
        values = [None if file is None else file.tables() for _, file in self._columns]
        for table in self._metadata.tables(self._released(columns)):
            more = [None if one is None else next(one) for one in values]
            yield _selected(self._with(table, more), columns)

    def take(self, rows: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the given rows, all in range, in the given order."""
        values = [None if file is None else file.take(rows) for _, file in self._columns]
        table = self._with(self._metadata.take(rows, self._released(columns)), values)
        return _selected(table, columns)

    def _released(self, columns: Sequence[str] | None) -> Sequence[str] | None:
        """Return the columns to read of the metadata, at least one."""
        if columns is None:
            return None
        names = self._metadata.schema.names
        return [name for name in columns if name in names] or names[-1:]

    def values(self, rows: Sequence[int]) -> list[list[Any]]:
        """Return the given rows, all in range, as lists of JSON values, one per column."""
        found = self._metadata.values(rows)
        for _, file in self._columns:
            more = [[None]] * len(rows) if file is None else file.values(rows)
            for row, one in zip(found, more, strict=True):
                row.extend(one)
        return found

    @property
    def names(self) -> list[str]:
        """The names of the computed columns."""
        return [name for name, _ in self._columns]

    def having(self, names: Sequence[str]) -> Joined:
        """Return the same rows with these computed columns; those that it lacks are null."""
        known = dict(self._columns)
        return Joined(self._metadata, [(name, known.get(name)) for name in names])

    def _with(self, table: pa.Table, values: Sequence[pa.Table | None]) -> pa.Table:
        for (name, _), one in zip(self._columns, values, strict=True):
            column = pa.nulls(len(table), TYPE) if one is None else one.column(0)
            table = table.append_column(pa.field(name, TYPE), column)
        return table


PartMetadata = MetadataFile | RangedMetadata | Joined
"""The metadata of one part, whichever way it is read."""


def _selected(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    return table if columns is None else table.select(list(columns))


def joined(
    collection: Path, manifest: Manifest, metadata: Sequence[MetadataFile | RangedMetadata]
) -> list[PartMetadata]:
    """Join the computed columns to the metadata of each part.

    Raises
    ------
    DamagedFile, MissingFile, UnsupportedFormat
        A file of values is missing, or does not match its note.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        notes = read_scores(collection)
        try:
            columns = [
                [(note.name, open_values(collection, note.of(part))) for note in notes]
                for part in manifest.parts
            ]
            break
        except MissingFile:
            if attempt == _ATTEMPTS or read_scores(collection) == notes:
                raise
    if not notes:
        return list(metadata)
    return [Joined(file, inner) for file, inner in zip(metadata, columns, strict=True)]


def with_same_scores(files: Sequence[PartMetadata]) -> list[PartMetadata]:
    """Return the metadata of parts of several collections, each with the computed columns of all."""
    names = {name for one in files if isinstance(one, Joined) for name in one.names}
    return with_scores(files, sorted(names))


def with_scores(files: Sequence[PartMetadata], names: Sequence[str]) -> list[PartMetadata]:
    """Return the metadata of parts with these computed columns; those that a part lacks are null."""
    if not names:
        return list(files)
    parts = [one if isinstance(one, Joined) else Joined(one, []) for one in files]
    return [part.having(names) for part in parts]


def open_values(collection: Path, part: ScoredPart | None) -> MetadataFile | None:
    """Open the values of a part; None if `part` is None.

    Raises
    ------
    DamagedFile, MissingFile
        The file is missing, or does not match its note.
    """
    if part is None:
        return None
    path = collection / part.path
    remedy = f"delete {path.parent} and run pairdex score again"
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is missing; {remedy}") from error
    if size != part.bytes:
        raise DamagedFile(f"{path} has {size:,} bytes, expected {part.bytes:,}; {remedy}")
    file = MetadataFile(path, part.rows, remedy=remedy)
    if file.schema.types != [TYPE]:
        raise DamagedFile(
            f"{path} has the column types {', '.join(map(str, file.schema.types))}, expected {TYPE}; {remedy}"
        )
    return file


def _parsed(path: Path, data: bytes) -> ScoreNote:
    remedy = f"delete {path.parent} and run pairdex score again"
    content = read_sealed(data, path, kind=_FORMAT, version=_VERSION, remedy=remedy)
    note = sealed_record(ScoreNote, content, path, advice=remedy)
    for part in note.parts:
        local_name(part.path, str(path))
    return note
