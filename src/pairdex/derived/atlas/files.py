"""Read and write the files of a collection's atlas; an atlas of other vectors is never opened.

`atlas/` holds NumPy files named by their checksums, and `atlas.json`, which lists them. `atlas.json` is
written last, so a reader sees the old atlas or the new one, never a mixture.
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
from pairdex.files.boundary import reading
from pairdex.files.foreign_names import local_name
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import sealed_record
from pairdex.store.manifest import FileEntry
from pairdex.store.store import Store, VectorField
from pairdex.wording import counted

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
_ATTEMPTS = 3  # files may be replaced after the note is read and before they are opened


@dataclass(frozen=True)
class Record:
    """The content of `atlas.json`; paths are relative to the collection's folder."""

    created_by: str
    on: VectorField
    points: int
    seed: int
    rows: int
    source: str
    drawn_from: str
    method: dict[str, Any]
    regions: list[Region]
    files: dict[str, FileEntry]

    def is_current(self, store: Store) -> bool:
        """Whether it was made from the collection's current vectors."""
        return self.source == store.manifest.vectors_checksum(self.on)


@dataclass(frozen=True)
class Atlas:
    """An opened atlas.

    Attributes
    ----------
    ids
        Shape (n,), int64, ascending: the rows of the sample, which are the points of the map.
    positions
        Shape (n, 2), float32: the points' coordinates in the unit square.
    places
        Shape (rows,), int32: the number of the point that represents each row of the collection. A row of
        the sample is its own point; another row has the point with the nearest vector.
    """

    record: Record
    ids: NDArray[np.int64]
    positions: NDArray[np.float32]
    places: NDArray[np.int32]

    def weights(self, live: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Return how many live rows each point represents, shape (n,). `live` None: all rows are live."""
        places = self.places if live is None else self.places[live]
        return np.bincount(places, minlength=len(self.ids))


def folder_of(collection: Path) -> Path:
    """Return the folder of an atlas, which may not exist."""
    return collection / "atlas"


def has_atlas(collection: Path) -> bool:
    """Whether the collection has an atlas, current or not."""
    return (folder_of(collection) / NOTE).exists()


def open_atlas(store: Store) -> Atlas:
    """Open the atlas of a collection's current vectors.

    Raises
    ------
    MissingFile
        The collection has no atlas.
    Mismatch
        The atlas was made from other vectors, or before parts were added.
    DamagedFile, UnsupportedFormat
        The atlas is damaged, or was written by a newer release.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        record = read_record(store.path)
        if not record.is_current(store):
            raise Mismatch(
                f"the atlas of {store.path} was made from {counted(record.rows, 'row')}; the collection now has "
                f"other vectors, {counted(store.rows, 'row')}; run pairdex atlas {store.path} again"
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
        The file does not exist, is damaged, or was written by another program or a newer release.
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
    record = sealed_record(Record, content, path, advice=remedy_of(collection))
    with reading(path, advice=remedy_of(collection)):
        for name in ARRAYS:
            local_name(record.files[name].path, path.name)
    return record


def save_array(collection: Path, name: str, array: NDArray[Any]) -> FileEntry:
    """Write one array of an atlas; readers see it once the note lists it.

    Raises
    ------
    WriteFailed
        The file cannot be written.
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
    """Write the note, which makes this atlas visible, and remove the files of an earlier atlas.

    Raises
    ------
    WriteFailed
        The note cannot be written; an earlier atlas stays unchanged.
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
    with reading(path, advice=remedy_of(collection)):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if (array.shape, array.dtype) != (shape[name], ARRAYS[name]):
        raise DamagedFile(
            f"{path} is damaged: it has {array.dtype} values of shape {array.shape}, expected "
            f"{ARRAYS[name]} of shape {shape[name]}; {remedy_of(collection)}"
        )
    return np.asarray(array)


def _check_values(store: Store, atlas: Atlas) -> Atlas:
    """Raise DamagedFile if the arrays refer to rows or points that do not exist."""
    ids_ascend = bool((np.diff(atlas.ids) > 0).all())
    ids_exist = atlas.ids[0] >= 0 and atlas.ids[-1] < store.rows
    points_exist = atlas.places.min() >= 0 and atlas.places.max() < len(atlas.ids)
    if not (ids_ascend and ids_exist and points_exist and np.isfinite(atlas.positions).all()):
        raise DamagedFile(f"the atlas of {store.path} is damaged; {remedy_of(store.path)}")
    return atlas


def remedy_of(collection: Path) -> str:
    """Return what to do about a damaged atlas."""
    return f"delete {folder_of(collection)} and run pairdex atlas {collection} again"
