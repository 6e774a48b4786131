"""The files of a collection's atlas: opened where they fit its vectors, refused where they do not.

`atlas/` holds NumPy files that are named by their checksums, and `atlas.json`, which names them and is
written last: a reader sees one atlas or the other, never a mixture.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.atlas.regions import Region
from pairdex.errors import DamagedFile, Mismatch, MissingFile
from pairdex.files import atomic, checksums
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.store.manifest import FileEntry
from pairdex.store.store import Kind, Store

__all__ = [
    "NOTE",
    "Atlas",
    "Record",
    "folder_of",
    "has_atlas",
    "open_atlas",
    "read_record",
    "remedy_of",
    "save_array",
    "write_record",
]

NOTE = "atlas.json"
FORMAT, FORMAT_VERSION = "pairdex-atlas", 1
ARRAYS: dict[str, np.dtype[Any]] = {
    "ids": np.dtype("<i8"),
    "positions": np.dtype("<f4"),
    "places": np.dtype("<i4"),
}
_ATTEMPTS = 3  # files may be replaced between reading the note and opening them


@dataclass(frozen=True)
class Record:
    """All that `atlas.json` says; paths are relative to the collection's folder."""

    created_by: str
    on: Kind
    points: int
    seed: int
    rows: int
    source: str
    drawn_from: str
    method: dict[str, Any]
    regions: list[Region]
    files: dict[str, FileEntry]

    def is_current(self, store: Store) -> bool:
        """Whether it is of the collection's vectors as they are now."""
        return self.source == store.manifest.vectors_checksum(self.on)


@dataclass(frozen=True)
class Atlas:
    """An opened atlas.

    Attributes
    ----------
    ids
        (n,) int64, ascending: the rows of the sample, the points of the map.
    positions
        (n, 2) float32 of the points, within the unit square.
    places
        (rows,) int32: the point that stands for each row of the collection: the nearest by the
        vectors, its own for a row of the sample.
    """

    record: Record
    ids: NDArray[np.int64]
    positions: NDArray[np.float32]
    places: NDArray[np.int32]

    def weights(self, live: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Return how many live rows each point stands for, shape (n,); None: all rows are live."""
        places = self.places if live is None else self.places[live]
        return np.bincount(places, minlength=len(self.ids))


def folder_of(collection: Path) -> Path:
    """Return where an atlas is, or would be."""
    return collection / "atlas"


def has_atlas(collection: Path) -> bool:
    """Whether there is an atlas, current or not."""
    return (folder_of(collection) / NOTE).exists()


def open_atlas(store: Store) -> Atlas:
    """Open the atlas of a collection's vectors as they are.

    Raises
    ------
    MissingFile
        None was made.
    Mismatch
        It was made of other vectors, or before parts were added.
    DamagedFile, UnsupportedFormat
        It is damaged, or of a newer version.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        record = read_record(store.path)
        if not record.is_current(store):
            raise Mismatch(
                f"the atlas of {store.path} is of {record.rows:,} rows, which have other vectors now, "
                f"{store.rows:,} rows; run pairdex atlas {store.path} again"
            )
        try:
            arrays = {name: _mapped(store.path, record, name) for name in ARRAYS}
            return _check_values(store, Atlas(record, **arrays))
        except MissingFile:
            if attempt == _ATTEMPTS or read_record(store.path) == record:
                raise
    raise AssertionError("the last attempt returns or raises")


def read_record(collection: Path) -> Record:
    """Read and check the `atlas.json` of a collection.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is none; it is damaged; it is foreign or of a newer version.
    """
    path = folder_of(collection) / NOTE
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(
            f"{collection} has no atlas; make it with pairdex atlas {collection}"
        ) from error
    content = read_sealed(
        data, path, kind=FORMAT, version=FORMAT_VERSION, remedy=remedy_of(collection)
    )
    return Record(
        **{
            **{key: content[key] for key in Record.__dataclass_fields__},
            "regions": [Region(**region) for region in content["regions"]],
            "files": {name: FileEntry(**content["files"][name]) for name in ARRAYS},
        }
    )


def save_array(collection: Path, name: str, array: NDArray[Any]) -> FileEntry:
    """Write one array of an atlas; readers see it when the note names it.

    Raises
    ------
    WriteFailed
        It could not be written.
    """
    buffer = io.BytesIO()
    plain = np.ascontiguousarray(array.astype(ARRAYS[name]))
    np.lib.format.write_array(buffer, plain, version=(1, 0), allow_pickle=False)
    data = buffer.getvalue()
    checksum = checksums.of_bytes(data)
    path = folder_of(collection) / f"{name}-{checksum[:8]}.npy"
    atomic.write_bytes(path, data)
    return FileEntry(str(path.relative_to(collection)), len(data), checksum)


def write_record(collection: Path, record: Record) -> None:
    """Write the note: from then on readers see this atlas; remove the files of an earlier one.

    Raises
    ------
    WriteFailed
        It could not be written; an older atlas is untouched.
    """
    content = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(record)}
    folder = folder_of(collection)
    atomic.write_bytes(folder / NOTE, sealed(content))
    named = {collection / file.path for file in record.files.values()}
    for other in folder.glob("*.npy"):
        if other not in named:
            other.unlink()


def _mapped(collection: Path, record: Record, name: str) -> NDArray[Any]:
    file = record.files[name]
    path = collection / file.path
    shape = {"ids": (record.points,), "positions": (record.points, 2), "places": (record.rows,)}
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is missing; {remedy_of(collection)}") from error
    if size != file.bytes:
        raise DamagedFile(
            f"{path} has {size:,} bytes, expected {file.bytes:,}; {remedy_of(collection)}"
        )
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DamagedFile(f"{path} is damaged: {error}; {remedy_of(collection)}") from error
    if (array.shape, array.dtype) != (shape[name], ARRAYS[name]):
        raise DamagedFile(f"{path} is damaged: its header does not fit; {remedy_of(collection)}")
    return np.asarray(array)


def _check_values(store: Store, atlas: Atlas) -> Atlas:
    """Refuse arrays that would lead to rows or points that there are not."""
    rising = bool((np.diff(atlas.ids) > 0).all())
    inside = atlas.ids[0] >= 0 and atlas.ids[-1] < store.rows
    placed = atlas.places.min() >= 0 and atlas.places.max() < len(atlas.ids)
    if not (rising and inside and placed and np.isfinite(atlas.positions).all()):
        raise DamagedFile(f"the atlas of {store.path} is damaged; {remedy_of(store.path)}")
    return atlas


def remedy_of(collection: Path) -> str:
    """Return what to do about a damaged atlas."""
    return f"delete {folder_of(collection)} and run pairdex atlas {collection} again"
