"""The manifest `collection.json`: what a collection is, written last and checked first.

It names every file with its size and checksum, and carries a checksum of itself. It holds no time
and no absolute place of the parts, so that the same parts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pairdex.errors import MissingFile
from pairdex.files import atomic, checksums
from pairdex.files.sealed_json import read_sealed, seal_of, sealed
from pairdex.parts.model_record import ModelRecord

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "MANIFEST",
    "ColumnEntry",
    "FileEntry",
    "Filter",
    "Kind",
    "Manifest",
    "Origin",
    "PartEntry",
    "read_manifest",
    "write_manifest",
]

Kind = Literal["image", "text"]

MANIFEST = "collection.json"
FORMAT = "pairdex-collection"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Origin:
    """The collection that another was made from: its name, its checksum, and by which rule."""

    collection: str
    checksum: str
    rule: dict[str, Any]


@dataclass(frozen=True)
class FileEntry:
    """A file: its path relative to the collection (or the source), size in bytes, XXH3-128."""

    path: str
    bytes: int
    checksum: str


@dataclass(frozen=True)
class ColumnEntry:
    """A metadata column: its name, its Arrow type, and what the release called it."""

    name: str
    type: str
    source: str | None


@dataclass(frozen=True)
class Filter:
    """Which rows of the parts were kept."""

    nsfw: str
    where: str | None


@dataclass(frozen=True)
class PartEntry:
    """One part: how many of its rows are here, why the others are not, and its files.

    `pictures` is the folder that the column `image_path` is relative to, where there is one;
    `rounded` how many of the rows that were read had float32 values that float16 cannot hold.
    `invalid` counts by column the values that could not be stored and are null. `zero_run` is the
    longest run of rows of zeros, where it is long. `replaces` has the indexes of the parts in the
    collection whose rows were taken down for this one. `link` says how the vectors came here where they
    were not copied; the manifest does not record it.
    """

    number: int
    rows: int
    rows_read: int
    dropped: dict[str, int]
    files: dict[str, FileEntry]
    sources: list[FileEntry]
    pictures: str | None = None
    rounded: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    zero_run: int = 0
    replaces: list[int] = field(default_factory=list)
    link: str = ""

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PartEntry:
        """Return the entry that `asdict` made `content` of."""
        files = {kind: FileEntry(**entry) for kind, entry in content["files"].items()}
        sources = [FileEntry(**entry) for entry in content["sources"]]
        return cls(**{**content, "files": files, "sources": sources})


@dataclass(frozen=True)
class Manifest:
    """All that `collection.json` says."""

    name: str
    created_by: str
    dim: int
    vectors: list[Kind]
    filter: Filter
    columns: list[ColumnEntry]
    parts: list[PartEntry]
    model: ModelRecord | None = None
    origin: Origin | None = None
    format: str = field(default=FORMAT)
    version: int = field(default=FORMAT_VERSION)

    @property
    def rows(self) -> int:
        """How many rows the collection has."""
        return sum(part.rows for part in self.parts)

    @property
    def rows_read(self) -> int:
        """How many rows of the parts were looked at."""
        return sum(part.rows_read for part in self.parts)

    @property
    def dropped(self) -> dict[str, int]:
        """How many rows were not kept, by reason."""
        reasons = dict.fromkeys(reason for part in self.parts for reason in part.dropped)
        return {r: sum(part.dropped.get(r, 0) for part in self.parts) for r in reasons}

    @property
    def column_names(self) -> list[str]:
        """The names of the metadata columns, in order."""
        return [column.name for column in self.columns]

    @property
    def checksum(self) -> str:
        """The checksum of the manifest, which names every file's: it stands for the collection."""
        return seal_of(_content(self))

    def vector_checksums(self, on: Kind) -> list[str]:
        """Return the checksums of the files of image or text vectors, part after part."""
        return [part.files[on].checksum for part in self.parts]

    def vectors_checksum(self, on: Kind) -> str:
        """Return one checksum that stands for all image or all text vectors.

        Derived data carries it to say which vectors it was made from.
        """
        return checksums.of_all(self.vector_checksums(on))

    def files(self) -> Iterator[FileEntry]:
        """Yield every data file of the collection."""
        for part in self.parts:
            yield from part.files.values()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of the collection in `folder`.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        No collection there; the manifest is damaged; it is foreign or of a newer version.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(
            f"{folder} is no collection: it has no {MANIFEST}; make one with pairdex build"
        ) from error
    content = read_sealed(
        data, path, kind=FORMAT, version=FORMAT_VERSION, remedy="build the collection again"
    )
    return _from_json(content)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest: from then on readers see what it names, and nothing else.

    Raises
    ------
    WriteFailed
        It could not be written; an older one is untouched.
    """
    atomic.write_bytes(folder / MANIFEST, sealed(_content(manifest)))


def _content(manifest: Manifest) -> dict[str, Any]:
    fields = asdict(manifest)
    if manifest.origin is None:  # built from parts, as by releases that knew nothing else
        del fields["origin"]
    for part in fields["parts"]:
        del part["link"]
        for name in ("rounded", "invalid", "zero_run", "replaces"):
            if not part[name]:
                del part[name]
    head = {"format": fields.pop("format"), "version": fields.pop("version")}
    totals = {"rows": manifest.rows, "rows_read": manifest.rows_read, "dropped": manifest.dropped}
    return {**head, **totals, **fields}


def _from_json(content: dict[str, Any]) -> Manifest:
    return Manifest(
        name=content["name"],
        created_by=content["created_by"],
        dim=content["dim"],
        vectors=content["vectors"],
        filter=Filter(**content["filter"]),
        columns=[ColumnEntry(**entry) for entry in content["columns"]],
        parts=[PartEntry.from_json(entry) for entry in content["parts"]],
        model=content["model"],
        origin=Origin(**content["origin"]) if "origin" in content else None,
    )
