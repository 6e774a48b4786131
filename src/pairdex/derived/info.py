"""The facts of a collection and its derived data, found without reading its rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.derived.kind import DerivedInfo, Heading
from pairdex.derived.kinds import KINDS
from pairdex.parts.model_record import ModelRecord
from pairdex.store.manifest import Filter, Origin, VectorField
from pairdex.store.sharded import open_store
from pairdex.store.store import Store

__all__ = ["CollectionInfo", "PartInfo", "ShardInfo", "info"]


@dataclass(frozen=True)
class PartInfo:
    """One released part: its number, its rows in the collection, and the rows that were read."""

    number: int
    rows: int
    rows_read: int


@dataclass(frozen=True)
class ShardInfo:
    """One shard: its folder below the collection's, the id of its first row, and its rows with removed ones."""

    path: str
    first_id: int
    rows: int


@dataclass(frozen=True)
class CollectionInfo:
    """The content and origin of a collection, and its derived data.

    Attributes
    ----------
    name
        The name of the collection, which is that of its folder.
    rows, removed
        The rows that searches can find, and the rows that were removed since the build.
    rows_read, dropped
        The rows of the parts that were read, and the rows that were dropped, by reason.
    dim, vectors
        The dimension of the vectors, and their kinds: image, text.
    columns
        The metadata columns, including computed columns.
    model
        The model that made the vectors, or None if it is unknown.
    filter, origin
        The rules that chose the rows; the collection that this one was made from, or None.
    bytes
        The size of the collection's files, without derived data.
    created_by
        The release that built the collection.
    derived
        The derived data, ordered by kind.
    shards
        The shards of a sharded collection, in the order of ids. Their derived data has their folder in its
        title.
    """

    name: str
    rows: int
    removed: int
    rows_read: int
    dropped: dict[str, int]
    dim: int
    vectors: list[VectorField]
    columns: list[str]
    parts: list[PartInfo]
    model: ModelRecord | None
    filter: Filter
    origin: Origin | None
    bytes: int
    created_by: str
    derived: list[DerivedInfo]
    shards: list[ShardInfo] = field(default_factory=list)

    def under(self, heading: Heading) -> list[DerivedInfo]:
        """Return the derived data of all kinds listed under a heading."""
        kinds = [kind.name for kind in KINDS if kind.heading == heading]
        return [one for one in self.derived if one.kind in kinds]


@checked
def info(collection: StrPath) -> CollectionInfo:
    """Return the content and origin of a collection, and its derived data.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        `collection` is not a collection, a file is missing or damaged, or a newer release wrote it.
    """
    store = open_store(Path(collection))
    manifest, rows = store.manifest, store.live_rows
    return CollectionInfo(
        name=store.name,
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
        shards=_shards(store),
    )


def _shards(store: Store) -> list[ShardInfo]:
    first, found = 0, []
    for shard in store.shards:
        found.append(ShardInfo(str(shard.path.relative_to(store.path)), first, shard.rows))
        first += shard.rows
    return found


def _derived(store: Store) -> list[DerivedInfo]:
    found = [kind.describe(store, name) for kind in KINDS for name in kind.find(store.path)]
    for shard in store.shards:
        place = shard.path.relative_to(store.path)
        found += [replace(one, title=f"{one.title} of {place}") for one in _derived(shard)]
    return found
