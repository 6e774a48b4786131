"""The files of a collection's projections: opened where they fit its vectors, refused where they do not.

`projections/NAME/` holds a .npy file a part, the model, and `projection.json`, which is written last and
names all the others with their checksums.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.models import Model, ProjectionKind, read_model
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile
from pairdex.files import checksums
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.store.manifest import FileEntry
from pairdex.store.store import Kind, Store

__all__ = [
    "MANIFEST",
    "MODEL",
    "ON",
    "PartFile",
    "Projection",
    "Record",
    "check_name",
    "find_projections",
    "folder_of",
    "open_projection",
    "projection_names",
    "read_record",
    "record_bytes",
]

MANIFEST = "projection.json"
MODEL = "model.h5"
ON: Kind = "image"  # the vectors that are projected: every collection has them
FORMAT = "pairdex-projection"
FORMAT_VERSION = 1

_NAME = re.compile(r"pca([1-9]\d{0,4})|hamming")


@dataclass(frozen=True)
class PartFile:
    """The projected rows of one part; `source` is the checksum of the vectors they were made of."""

    path: str
    rows: int
    bytes: int
    checksum: str
    source: str


@dataclass(frozen=True)
class Record:
    """All that `projection.json` says; paths are relative to the projection's folder."""

    name: str
    kind: ProjectionKind
    method: str
    dim: int
    source_dim: int
    on: Kind
    fit_rows: int | None
    explained_variance: float | None
    created_by: str
    model: FileEntry
    files: list[PartFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows are projected."""
        return sum(file.rows for file in self.files)

    @property
    def source(self) -> str:
        """The checksum of the vectors that were projected, over those of their files."""
        return checksums.of_all(file.source for file in self.files)

    def is_current(self, store: Store) -> bool:
        """Whether it holds all rows of the collection as they are now."""
        made_of = [file.source for file in self.files]
        return made_of[: len(store.manifest.parts)] == store.manifest.vector_checksums(self.on)


@dataclass(frozen=True)
class Projection:
    """An opened projection of all rows of a collection.

    Attributes
    ----------
    blocks
        One memory map a part, by row: float32 (rows, dim) of a PCA, uint64 (rows, dim / 64) of a
        binary sketch, bit i of it in word i // 64 at 1 << i % 64.
    """

    record: Record
    model: Model
    blocks: list[NDArray[Any]]

    @property
    def name(self) -> str:
        """What it is called in the collection: pca96, hamming."""
        return self.record.name

    @property
    def kind(self) -> ProjectionKind:
        """Whether rows are compared by Euclidean or by Hamming distance."""
        return self.record.kind

    @property
    def dim(self) -> int:
        """How many components, or bits, a row has."""
        return self.record.dim

    def apply(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Project vectors (n, source_dim) of any length but zero with the same model.

        Raises
        ------
        Mismatch
            They are of another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.model.source_dim:
            raise Mismatch(
                f"the vectors have shape {vectors.shape}, expected (n, {self.model.source_dim}), "
                f"as the model of {self.name} takes them"
            )
        return self.model.apply(vectors)


def check_name(name: str) -> tuple[ProjectionKind, int | None]:
    """Return what a projection's name means: its kind and, of a PCA, the number of components.

    Raises
    ------
    InvalidArgument
        It is neither `pca` with a number nor `hamming`.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidArgument(
            f"there is no projection {name!r}; expected pca32, pca96, pca of another number of "
            "components, or hamming",
            field="name",
        )
    return ("hamming", None) if match[1] is None else ("pca", int(match[1]))


def folder_of(collection: Path, name: str) -> Path:
    """Return where a projection is, or would be."""
    check_name(name)
    return collection / "projections" / name


def find_projections(store: Store) -> list[str]:
    """Return the names of the collection's finished projections, also of those that are stale."""
    return projection_names(store.path)


def projection_names(collection: Path) -> list[str]:
    """Return what `find_projections` does of the collection in a folder."""
    found = (path.parent.name for path in collection.glob(f"projections/*/{MANIFEST}"))
    return sorted((name for name in found if _NAME.fullmatch(name)), key=lambda n: (len(n), n))


def open_projection(store: Store, name: str) -> Projection:
    """Open a projection of the collection's vectors as they are.

    Sizes, and the model's checksum, are compared; `pairdex verify` reads the rest.

    Raises
    ------
    InvalidArgument, MissingFile
        No projection has such a name; this one was not made.
    Mismatch
        It was made of other vectors, or of fewer parts than there are now.
    DamagedFile, UnsupportedFormat
        It is damaged, or of a newer version.
    """
    folder = folder_of(store.path, name)
    if not (folder / MANIFEST).exists():
        there = ", ".join(find_projections(store)) or "none"
        raise MissingFile(
            f"{store.path} has no projection {name} (it has {there}); "
            f"make it with pairdex project {store.path} {name}"
        )
    record = read_record(folder)
    if not record.is_current(store):
        raise Mismatch(
            f"{folder} is of {record.rows:,} rows, {store.path} has other vectors now, "
            f"{store.rows:,} rows; run pairdex project {store.path} {name} again"
        )
    _check_file(folder / record.model.path, record.model.bytes)
    if checksums.of_file(folder / record.model.path) != record.model.checksum:
        raise _damaged(folder / record.model.path, "it differs from its checksum")
    model, _ = read_model(folder / record.model.path)
    files = record.files[: len(store.manifest.parts)]
    return Projection(record, model, [_mapped(folder, file, model) for file in files])


def read_record(folder: Path) -> Record:
    """Read and check the `projection.json` in a projection's folder.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is none; it is damaged; it is foreign or of a newer version.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist: the projection is not finished") from error
    remedy = f"delete {folder} and project again"
    content = read_sealed(data, path, kind=FORMAT, version=FORMAT_VERSION, remedy=remedy)
    keys = Record.__dataclass_fields__
    return Record(
        **{
            **{key: content[key] for key in keys},
            "model": FileEntry(**content["model"]),
            "files": [PartFile(**file) for file in content["files"]],
        }
    )


def record_bytes(record: Record) -> bytes:
    """Return the content of `projection.json`."""
    head = {"format": FORMAT, "version": FORMAT_VERSION}
    totals = {"rows": record.rows, "source": record.source}
    return sealed({**head, **totals, **asdict(record)})


def _mapped(folder: Path, file: PartFile, model: Model) -> NDArray[Any]:
    path = folder / file.path
    _check_file(path, file.bytes)
    shape, dtype = (file.rows, model.width), model.dtype
    if file.rows == 0:
        return np.empty(shape, dtype)
    offset = file.bytes - file.rows * model.width * dtype.itemsize
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape)


def _check_file(path: Path, expected_bytes: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing") from error
    if size != expected_bytes:
        raise _damaged(path, f"it has {size:,} bytes, expected {expected_bytes:,}")


def _damaged(path: Path, how: str) -> DamagedFile:
    return DamagedFile(
        f"{path} is damaged: {how}; delete {path.parent} and run pairdex project again"
    )
