"""Columns that were computed after the build: a file a part beside the metadata, joined when read.

`scores/NAME/score.json` is written last and names the files. Each is of the vectors whose checksum it
carries: rows of parts that were added later have no value until they are scored too.
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
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.store.manifest import Kind, Manifest, PartEntry
from pairdex.store.metadata import MetadataFile

__all__ = [
    "NOTE",
    "SCORES",
    "Joined",
    "ScoreNote",
    "ScoredPart",
    "joined",
    "open_score",
    "open_values",
    "read_score",
    "read_scores",
    "score_folder",
    "score_names",
    "write_score",
]

SCORES = "scores"
TYPE = pa.float32()

NOTE = "score.json"
_FORMAT, _VERSION = "pairdex-score", 1
_ATTEMPTS = 3  # files may be replaced between reading the note and opening them


@dataclass(frozen=True)
class ScoredPart:
    """One part's values: its file, and the checksum of the vectors they were computed from."""

    path: str
    rows: int
    bytes: int
    checksum: str
    source: str


@dataclass(frozen=True)
class ScoreNote:
    """What `score.json` says: the column, who made it from what, and its files."""

    name: str
    created_by: str
    on: Kind
    head: dict[str, Any]
    parts: tuple[ScoredPart, ...]

    def of(self, part: PartEntry) -> ScoredPart | None:
        """Return the values of a part of the collection; None where it has none yet."""
        source = part.files[self.on].checksum
        fitting = (one for one in self.parts if (one.source, one.rows) == (source, part.rows))
        return next(fitting, None)

    def scored_rows(self, manifest: Manifest) -> int:
        """Return how many rows of the collection have a value."""
        return sum(part.rows for part in manifest.parts if self.of(part) is not None)


def score_folder(collection: Path, name: str) -> Path:
    """Return where the files of a column are, or would be."""
    return collection / SCORES / name


def score_names(collection: Path) -> list[str]:
    """Return the names of all computed columns."""
    return sorted(path.parent.name for path in (collection / SCORES).glob(f"*/{NOTE}"))


def read_scores(collection: Path) -> list[ScoreNote]:
    """Return the notes of all computed columns, by name.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        A note is damaged, or of a newer release.
    """
    notes = (read_score(collection, name) for name in score_names(collection))
    return [note for note in notes if note is not None]


def read_score(collection: Path, name: str) -> ScoreNote | None:
    """Return the note of one computed column; None where there is none.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        It is damaged, or of a newer release.
    """
    try:
        return open_score(collection, name)
    except MissingFile:
        return None


def open_score(collection: Path, name: str) -> ScoreNote:
    """Return the note of a computed column that there is.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is none; it is damaged, or of a newer release.
    """
    path = score_folder(collection, name) / NOTE
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(f"{collection} has no scores {name}; run pairdex score") from error
    return _parsed(path, data)


def write_score(collection: Path, note: ScoreNote) -> None:
    """Write the note: from then on readers see the column.

    Raises
    ------
    WriteFailed
        It could not be written; an older one is untouched.
    """
    content = {"format": _FORMAT, "version": _VERSION, **asdict(note)}
    atomic.write_bytes(score_folder(collection, note.name) / NOTE, sealed(content))


class Joined:
    """A part's metadata with its computed columns behind; reads as a `MetadataFile` does."""

    def __init__(
        self, metadata: MetadataFile, columns: Sequence[tuple[str, MetadataFile | None]]
    ) -> None:
        self._metadata = metadata
        self._columns = columns
        fields = [pa.field(name, TYPE) for name, _ in columns]
        self.schema: pa.Schema = pa.schema([*metadata.schema, *fields])

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in order, a batch at a time."""
        values = [None if file is None else file.tables() for _, file in self._columns]
        for table in self._metadata.tables():
            yield self._with(table, [None if one is None else next(one) for one in values])

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Return the given rows (all in range) in the given order."""
        values = [None if file is None else file.take(rows) for _, file in self._columns]
        return self._with(self._metadata.take(rows), values)

    def values(self, rows: Sequence[int]) -> list[list[Any]]:
        """Return the given rows (all in range) as lists of values, a column each."""
        found = self._metadata.values(rows)
        for _, file in self._columns:
            more = [[None]] * len(rows) if file is None else file.values(rows)
            for row, one in zip(found, more, strict=True):
                row.extend(one)
        return found

    def _with(self, table: pa.Table, values: Sequence[pa.Table | None]) -> pa.Table:
        for (name, _), one in zip(self._columns, values, strict=True):
            column = pa.nulls(len(table), TYPE) if one is None else one.column(0)
            table = table.append_column(pa.field(name, TYPE), column)
        return table


def joined(
    collection: Path, manifest: Manifest, metadata: Sequence[MetadataFile]
) -> list[MetadataFile | Joined]:
    """Join the computed columns to the metadata of each part.

    Raises
    ------
    DamagedFile, MissingFile, UnsupportedFormat
        A file of values is gone or not what its note says.
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


def open_values(collection: Path, part: ScoredPart | None) -> MetadataFile | None:
    """Open the values of a part; None where it has none.

    Raises
    ------
    DamagedFile, MissingFile
        The file is gone or not what its note says.
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
        raise DamagedFile(f"{path} holds no column of scores; {remedy}")
    return file


def _parsed(path: Path, data: bytes) -> ScoreNote:
    remedy = f"delete {path.parent} and run pairdex score again"
    content = read_sealed(data, path, kind=_FORMAT, version=_VERSION, remedy=remedy)
    try:
        parts = tuple(ScoredPart(**part) for part in content["parts"])
        return ScoreNote(
            content["name"], content["created_by"], content["on"], content["head"], parts
        )
    except (KeyError, TypeError) as error:
        raise DamagedFile(f"{path} is damaged; {remedy}") from error
