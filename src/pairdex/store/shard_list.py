"""The manifest of a sharded collection: which collections are its shards, in the order of their ids.

It has the name of every manifest, `collection.json`, and another format. So whatever knows only
collections refuses it, instead of reading half of what counts: removed rows are recorded in the shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pairdex.errors import Mismatch, MissingFile
from pairdex.files import atomic
from pairdex.files.boundary import reading
from pairdex.files.foreign_names import local_name
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import sealed_record
from pairdex.store.manifest import (
    MANIFEST,
    SHARDED_FORMAT,
    ColumnEntry,
    FileEntry,
    Manifest,
    PartEntry,
    is_sharded,
    manifest_bytes,
    read_manifest,
)
from pairdex.wording import counted

__all__ = [
    "ShardEntry",
    "ShardList",
    "check_fit",
    "entry_of",
    "joined_manifest",
    "read_any_manifest",
    "read_shard_list",
    "write_shard_list",
]

SHARDED_VERSION = 1
_REMEDY = "put the shards together again with pairdex shard --join"


@dataclass(frozen=True)
class ShardEntry:
    """One shard: its folder below the collection's, its rows, and the checksum of its image vectors.

    The rows and the checksum fix the ids: a shard that was given more rows would shift those after it.
    """

    path: str
    rows: int
    vectors: str


@dataclass(frozen=True)
class ShardList:
    """The content of `collection.json` in a sharded collection."""

    name: str
    created_by: str
    shards: list[ShardEntry]
    format: str = field(default=SHARDED_FORMAT)
    version: int = field(default=SHARDED_VERSION)


def entry_of(path: str, manifest: Manifest) -> ShardEntry:
    """Return the entry of a collection that becomes the shard at `path`."""
    return ShardEntry(path, manifest.rows, manifest.vectors_checksum("image"))


def read_shard_list(folder: Path) -> ShardList:
    """Read and check the list of shards of the sharded collection in `folder`.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no list or a shard is missing, the list is damaged, or a newer release wrote it.
    """
    path = folder / MANIFEST
    content = read_sealed(
        manifest_bytes(folder), path, kind=SHARDED_FORMAT, version=SHARDED_VERSION, remedy=_REMEDY
    )
    known = sealed_record(ShardList, content, path, advice=_REMEDY)
    with reading(path, advice=_REMEDY):
        paths = [local_name(shard.path, str(path)) for shard in known.shards]
        if not paths or len({*paths}) != len(paths) or min(one.rows for one in known.shards) < 0:
            raise ValueError("it has no shards, a shard twice, or a negative number of rows")
    for shard in known.shards:
        if not (folder / shard.path / MANIFEST).is_file():
            raise MissingFile(
                f"{folder / shard.path} is missing, a shard of {folder}; restore it, or put the others "
                "together with pairdex shard --join"
            )
    return known


def write_shard_list(folder: Path, shards: ShardList) -> None:
    """Write the list of shards, which makes the folder a sharded collection.

    Raises
    ------
    WriteFailed
        The list cannot be written.
    """
    head = {"format": shards.format, "version": shards.version}
    atomic.write_bytes(folder / MANIFEST, sealed({**head, **asdict(shards)}))


def read_any_manifest(folder: Path) -> Manifest:
    """Read the manifest of a collection; that of all shards together if it is sharded.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, Mismatch
        A manifest is missing or damaged, a newer release wrote it, or a shard has other rows than the list
        says.
    """
    if not is_sharded(folder):
        return read_manifest(folder)
    shards = read_shard_list(folder)
    return joined_manifest(folder, shards, [read_manifest(folder / s.path) for s in shards.shards])


def joined_manifest(folder: Path, shards: ShardList, manifests: Sequence[Manifest]) -> Manifest:
    """Return one manifest of all shards, whose paths are relative to the sharded collection.

    Raises
    ------
    Mismatch
        A shard has other rows than the list says, or the shards do not fit together.
    """
    for entry, manifest in zip(shards.shards, manifests, strict=True):
        if entry_of(entry.path, manifest) != entry:
            raise Mismatch(
                f"the shard {folder / entry.path} has {counted(manifest.rows, 'row')}, but not the {entry.rows:,} "
                f"that {folder} was put together with; {_REMEDY}"
            )
    check_fit([folder / entry.path for entry in shards.shards], manifests)
    parts = [
        _below(entry.path, part)
        for entry, manifest in zip(shards.shards, manifests, strict=True)
        for part in manifest.parts
    ]
    first = manifests[0]
    shared = first.origin if all(one.origin == first.origin for one in manifests) else None
    return replace(
        first, name=shards.name, created_by=shards.created_by, parts=parts, origin=shared
    )


def check_fit(places: Sequence[Path], manifests: Sequence[Manifest]) -> None:
    """Raise Mismatch unless collections have the same vectors, columns, model and rules for rows."""
    first = _compared(manifests[0])
    for place, manifest in zip(places, manifests, strict=True):
        other = _compared(manifest)
        for what, value in first.items():
            if other[what] != value:
                raise Mismatch(
                    f"{place} has the {what} {other[what]}, {places[0]} has {value}: "
                    "only collections of one kind can be shards of one collection"
                )


def _compared(manifest: Manifest) -> dict[str, object]:
    model = manifest.model
    return {
        "dimension": manifest.dim,
        "metric": manifest.metric,
        "vectors": " and ".join(manifest.vectors),
        "columns": ", ".join(map(_column, manifest.columns)),
        "model": "unknown" if model is None else f"{model['name']} ({model['checksum']})",
        "NSFW rule": manifest.filter.nsfw,
        "filter": manifest.filter.where or "none",
    }


def _column(column: ColumnEntry) -> str:
    return f"{column.name} {column.type}"


def _below(folder: str, part: PartEntry) -> PartEntry:
    files = {
        kind: FileEntry(f"{folder}/{file.path}", file.bytes, file.checksum)
        for kind, file in part.files.items()
    }
    return replace(part, files=files)
