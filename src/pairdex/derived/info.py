"""What a collection is and which derived data it has, read without reading its rows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pairdex.derived.kind import DerivedInfo, Heading
from pairdex.derived.kinds import KINDS
from pairdex.parts.model_record import ModelRecord
from pairdex.store.manifest import Filter, Kind, Origin
from pairdex.store.store import Store

__all__ = ["CollectionInfo", "PartInfo", "info"]


@dataclass(frozen=True)
class PartInfo:
    """One released part: its number, the rows that are in the collection, and the rows read."""

    number: int
    rows: int
    rows_read: int


@dataclass(frozen=True)
class CollectionInfo:
    """What a collection holds and where it came from.

    Attributes
    ----------
    name
        The name it was built under.
    rows, removed
        Rows that searches can find, and rows that were removed since the build.
    rows_read, dropped
        Rows of the parts that were looked at, and those that were not kept, by reason.
    dim, vectors
        The dimension of the vectors, and the kinds there are: image, text.
    columns
        The metadata columns, computed ones too.
    model
        The model that made the vectors, where that is known.
    filter, origin
        Which rows of the parts were kept; the collection that this one was made from, if any.
    bytes
        The size of its own files, without derived data.
    created_by
        The release that built it.
    derived
        The data that was made from the collection, kind after kind.
    """

    name: str
    rows: int
    removed: int
    rows_read: int
    dropped: dict[str, int]
    dim: int
    vectors: list[Kind]
    columns: list[str]
    parts: list[PartInfo]
    model: ModelRecord | None
    filter: Filter
    origin: Origin | None
    bytes: int
    created_by: str
    derived: list[DerivedInfo]

    def under(self, heading: Heading) -> list[DerivedInfo]:
        """Return the derived data of all kinds that stand under a heading."""
        kinds = [kind.name for kind in KINDS if kind.heading == heading]
        return [one for one in self.derived if one.kind in kinds]


def info(collection: str | os.PathLike[str]) -> CollectionInfo:
    """Say what a collection holds, where it came from, and which derived data it has.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no collection; a file is missing or damaged; it is of a newer format.
    """
    store = Store(Path(collection))
    manifest, rows = store.manifest, store.live_rows
    return CollectionInfo(
        name=manifest.name,
        rows=rows,
        removed=store.rows - rows,
        rows_read=manifest.rows_read,
        dropped=manifest.dropped,
        dim=manifest.dim,
        vectors=manifest.vectors,
        columns=list(store.schema.names),
        parts=[PartInfo(part.number, part.rows, part.rows_read) for part in manifest.parts],
        model=manifest.model,
        filter=manifest.filter,
        origin=manifest.origin,
        bytes=sum(file.bytes for file in manifest.files()),
        created_by=manifest.created_by,
        derived=_derived(store),
    )


def _derived(store: Store) -> list[DerivedInfo]:
    return [kind.describe(store, name) for kind in KINDS for name in kind.find(store.path)]
