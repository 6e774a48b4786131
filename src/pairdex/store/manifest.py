"""The manifest `collection.json`, which describes a collection. It is written last and checked first.

It lists every file with its size and checksum, and contains its own checksum. It contains neither times
nor absolute paths of the parts, so the same parts give the same bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pairdex.errors import InvalidArgument, Mismatch, MissingFile, UnsupportedFormat
from pairdex.files import atomic, checksums
from pairdex.files.boundary import reading
from pairdex.files.foreign_names import local_name
from pairdex.files.sealed_json import read_sealed, seal_of, sealed
from pairdex.files.typed_json import sealed_record, typed
from pairdex.knn.distance import Metric
from pairdex.parts.model_record import ModelRecord
from pairdex.store.fields import VectorField

__all__ = [
    "DEFAULT_METRIC",
    "FORMAT",
    "FORMAT_VERSION",
    "MANIFEST",
    "SHARDED_FORMAT",
    "ColumnEntry",
    "FileEntry",
    "Filter",
    "Manifest",
    "Origin",
    "PartEntry",
    "VectorField",
    "is_sharded",
    "manifest_bytes",
    "not_on_shards",
    "read_manifest",
    "sealed_manifest",
    "write_manifest",
]

MANIFEST = "collection.json"
DEFAULT_METRIC: Metric = "cosine"
FORMAT = "pairdex-collection"
FORMAT_VERSION = 1
SHARDED_FORMAT = "pairdex-sharded-collection"  # of the same file in a sharded collection
_SHARDED_START = f'{{\n "format": "{SHARDED_FORMAT}"'.encode()  # how its bytes begin
_REMEDY = "build the collection again"


@dataclass(frozen=True)
class Origin:
    """The collection that this one was made from: its name, its checksum, and the rule that chose rows."""

    collection: str
    checksum: str
    rule: dict[str, Any]


@dataclass(frozen=True)
class FileEntry:
    """A file: its path relative to the collection or the source, its size in bytes, its XXH3-128."""

    path: str
    bytes: int
    checksum: str


@dataclass(frozen=True)
class ColumnEntry:
    """A metadata column: its name, its Arrow type, and its name in the release."""

    name: str
    type: str
    source: str | None


@dataclass(frozen=True)
class Filter:
    """The NSFW rule and the SQL filter that chose the rows of the parts."""

    nsfw: str
    where: str | None


@dataclass(frozen=True)
class PartEntry:
    """One part: how many of its rows were kept, how many were dropped for which reason, and its files.

    `pictures` is the folder that the column `image_path` is relative to, or None. `rounded` is the number
    of rows whose float32 values had to be rounded to float16. `orientation` is how pictures were oriented
    when they were encoded, `upright` or `as stored`, or None if unknown. `linked` lists folders outside
    `pictures` that links in it lead to. `invalid` counts by column the values that could not be stored and
    are null. `zero_run` is the longest run of rows of zeros, if it is long. `replaces` has the indexes of
    the parts in the collection whose rows were removed for this one. `link` says how the vectors came here
    if they were not copied; the manifest does not record it.
    """

    number: int
    rows: int
    rows_read: int
    dropped: dict[str, int]
    files: dict[str, FileEntry]
    sources: list[FileEntry]
    pictures: str | None = None
    rounded: int = 0
    orientation: str | None = None
    linked: tuple[str, ...] = ()
    invalid: dict[str, int] = field(default_factory=dict)
    zero_run: int = 0
    replaces: list[int] = field(default_factory=list)
    link: str = ""

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PartEntry:
        """Return the entry for the JSON object `content`, which `asdict` made."""
        return typed(cls, content, "the part")


@dataclass(frozen=True)
class Manifest:
    """The content of `collection.json`.

    `metric` is how searches compare vectors. Everything that needs cosines asks `check_cosine` first.
    """

    name: str
    created_by: str
    dim: int
    vectors: list[VectorField]
    filter: Filter
    columns: list[ColumnEntry]
    parts: list[PartEntry]
    model: ModelRecord | None = None
    origin: Origin | None = None
    metric: Metric = field(default=DEFAULT_METRIC)
    format: str = field(default=FORMAT)
    version: int = field(default=FORMAT_VERSION)

    @property
    def rows(self) -> int:
        """The number of rows, including removed rows."""
        return sum(part.rows for part in self.parts)

    @property
    def rows_read(self) -> int:
        """The number of rows of the parts that were read."""
        return sum(part.rows_read for part in self.parts)

    @property
    def dropped(self) -> dict[str, int]:
        """The number of rows that were dropped, by reason."""
        reasons = dict.fromkeys(reason for part in self.parts for reason in part.dropped)
        return {r: sum(part.dropped.get(r, 0) for part in self.parts) for r in reasons}

    @property
    def column_names(self) -> list[str]:
        """The names of the metadata columns, in order."""
        return [column.name for column in self.columns]

    @property
    def checksum(self) -> str:
        """The checksum of the manifest. It identifies the collection, as it covers every file's checksum."""
        return seal_of(_content(self))

    def vector_checksums(self, on: VectorField) -> list[str]:
        """Return the checksums of the files of image or text vectors, one per part."""
        return [part.files[on].checksum for part in self.parts]

    def vectors_checksum(self, on: VectorField) -> str:
        """Return one checksum of all image or all text vectors.

        Derived data records it as the vectors it was made from.
        """
        return checksums.of_all(self.vector_checksums(on))

    def check_cosine(self, folder: Path, what: str) -> None:
        """Raise unless searches compare vectors by cosine, which `what` needs.

        Raises
        ------
        Mismatch
            The collection was built with another metric.
        """
        if self.metric != "cosine":
            raise Mismatch(
                f"{folder} was built with --metric {self.metric}, {what} needs cosine distances: "
                "build its parts into another collection without --metric"
            )

    def files(self) -> Iterator[FileEntry]:
        """Yield every data file of the collection."""
        for part in self.parts:
            yield from part.files.values()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of the collection in `folder`.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        `folder` holds no collection; the manifest is damaged; another program or a newer release
        wrote it.
    InvalidArgument
        `folder` holds a sharded collection. Whatever does not open those by `open_store` or
        `read_any_manifest` is refused here.
    """
    data = manifest_bytes(folder)
    try:
        return _parsed(data, folder / MANIFEST)
    except UnsupportedFormat:
        if data.startswith(_SHARDED_START):
            raise not_on_shards(folder) from None
        raise


def not_on_shards(collection: Path | str) -> InvalidArgument:
    """Return the error of what does not work on a sharded collection."""
    return InvalidArgument(
        f"{collection} is a sharded collection, on which this does not work yet; use the collection "
        "that was divided into shards, or one of the shards",
        field="collection",
    )


def manifest_bytes(folder: Path) -> bytes:
    """Return the content of the manifest of a collection, sharded or not.

    Raises
    ------
    MissingFile
        `folder` holds no collection.
    """
    try:
        return (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFile(
            f"{folder} is not a collection: it has no {MANIFEST}; make one with pairdex build"
        ) from error


def is_sharded(folder: Path) -> bool:
    """Whether a folder holds a sharded collection."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            return file.read(len(_SHARDED_START)) == _SHARDED_START
    except (FileNotFoundError, NotADirectoryError):
        return False


@functools.lru_cache(maxsize=4)
def _parsed(data: bytes, path: Path) -> Manifest:
    """Return the manifest that a file holds; opening a collection reads it twice, a service often."""
    content = read_sealed(data, path, kind=FORMAT, version=FORMAT_VERSION, remedy=_REMEDY)
    manifest = sealed_record(Manifest, content, path, advice=_REMEDY)
    with reading(path, advice=_REMEDY):
        _check(manifest)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest. From then on readers see exactly the files that it lists.

    Raises
    ------
    WriteFailed
        The manifest cannot be written; an existing manifest stays unchanged.
    """
    atomic.write_bytes(folder / MANIFEST, sealed_manifest(manifest))


def sealed_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of the manifest's file."""
    return sealed(_content(manifest))


def _content(manifest: Manifest) -> dict[str, Any]:
    fields = asdict(manifest)
    if manifest.origin is None:  # built from parts: earlier releases did not write this key
        del fields["origin"]
    if manifest.metric == DEFAULT_METRIC:  # earlier releases did not write this key
        del fields["metric"]
    for part in fields["parts"]:
        del part["link"]
        for optional in ("rounded", "orientation", "linked", "invalid", "zero_run", "replaces"):
            if not part[optional]:
                del part[optional]
    head = {"format": fields.pop("format"), "version": fields.pop("version")}
    totals = {"rows": manifest.rows, "rows_read": manifest.rows_read, "dropped": manifest.dropped}
    return {**head, **totals, **fields}


def _check(manifest: Manifest) -> None:
    """Refuse what no builder writes: a manifest may have been forged, and its checksum with it."""
    if manifest.dim < 1 or len({*manifest.column_names}) != len(manifest.columns):
        raise ValueError("it has no dimension, or a column twice")
    if not manifest.vectors or len({*manifest.vectors}) != len(manifest.vectors):
        raise ValueError(f"it has the vectors {manifest.vectors}")
    expected = {"metadata", *manifest.vectors}
    for number, part in enumerate(manifest.parts):
        if min(part.rows, part.rows_read) < 0 or not expected <= set(part.files):
            raise ValueError(f"parts[{number}] has a negative number of rows, or lacks a file")
        for entry in part.files.values():
            local_name(entry.path, f"parts[{number}]")
