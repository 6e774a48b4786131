"""Read the files of a collection's projections; a projection of other vectors is never opened.

`projections/NAME/` holds one .npy file per part, the model, and `projection.json`, which is written last
and lists the other files with their checksums.
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
from pairdex.files.boundary import reading
from pairdex.files.foreign_names import local_name
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import sealed_record
from pairdex.store.manifest import FileEntry
from pairdex.store.store import Store, VectorField
from pairdex.wording import counted

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
ON: VectorField = "image"  # the projected vectors: every collection has them
FORMAT = "pairdex-projection"
FORMAT_VERSION = 1

_NAME = re.compile(r"pca([1-9]\d{0,4})|hamming")


@dataclass(frozen=True)
class PartFile:
    """The projected rows of one part; `source` is the checksum of the vectors they were made from."""

    path: str
    rows: int
    bytes: int
    checksum: str
    source: str


@dataclass(frozen=True)
class Record:
    """The content of `projection.json`; paths are relative to the projection's folder."""

    name: str
    kind: ProjectionKind
    method: str
    dim: int
    source_dim: int
    on: VectorField
    fit_rows: int | None
    explained_variance: float | None
    created_by: str
    model: FileEntry
    files: list[PartFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of projected rows."""
        return sum(file.rows for file in self.files)

    @property
    def source(self) -> str:
        """One checksum of all projected vectors, made from the checksums of their files."""
        return checksums.of_all(file.source for file in self.files)

    def is_current(self, store: Store) -> bool:
        """Whether it contains all rows of the collection with their current vectors."""
        sources = [file.source for file in self.files]
        return sources[: len(store.manifest.parts)] == store.manifest.vector_checksums(self.on)


@dataclass(frozen=True)
class Projection:
    """An opened projection of all rows of a collection.

    Attributes
    ----------
    blocks
        One memory map per part. A PCA has float32 values of shape (rows, dim). A binary sketch has uint64
        words of shape (rows, dim / 64); bit i of a sketch is bit i % 64 of word i // 64.
    """

    record: Record
    model: Model
    blocks: list[NDArray[Any]]

    @property
    def name(self) -> str:
        """The name of the projection: pca96, hamming."""
        return self.record.name

    @property
    def kind(self) -> ProjectionKind:
        """`pca` (rows are compared by Euclidean distance) or `hamming`."""
        return self.record.kind

    @property
    def dim(self) -> int:
        """The number of components or bits of a row."""
        return self.record.dim

    def apply(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Project non-zero vectors, shape (n, source_dim), with the projection's model.

        Raises
        ------
        Mismatch
            The vectors have another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.model.source_dim:
            raise Mismatch(
                f"the vectors have shape {vectors.shape}, the model of {self.name} expects "
                f"(n, {self.model.source_dim})"
            )
        return self.model.apply(vectors)


def check_name(name: str) -> tuple[ProjectionKind, int | None]:
    """Return the kind of projection that a name means, and the number of components of a PCA.

    Raises
    ------
    InvalidArgument
        `name` is neither `pca` with a number nor `hamming`.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidArgument(
            f"the projection is {name!r}, expected pcaN with N components, e.g. pca32 or pca96, or "
            "hamming",
            field="name",
        )
    return ("hamming", None) if match[1] is None else ("pca", int(match[1]))


def folder_of(collection: Path, name: str) -> Path:
    """Return the folder of a projection, which may not exist."""
    check_name(name)
    return collection / "projections" / name


def find_projections(store: Store) -> list[str]:
    """Return the names of the collection's finished projections, including outdated ones."""
    store.need(f"projections/*/{MANIFEST}")
    return projection_names(store.path)


def projection_names(collection: Path) -> list[str]:
    """Return the names of the finished projections in a collection's folder, including outdated ones."""
    found = (path.parent.name for path in collection.glob(f"projections/*/{MANIFEST}"))
    return sorted((name for name in found if _NAME.fullmatch(name)), key=lambda n: (len(n), n))


def open_projection(store: Store, name: str) -> Projection:
    """Open a projection of the collection's current vectors.

    File sizes and the model's checksum are checked; `pairdex verify` checks the rest.

    Raises
    ------
    InvalidArgument
        `name` is not the name of a projection.
    MissingFile
        The collection does not have this projection.
    Mismatch
        The projection was made from other vectors, or parts were added since.
    DamagedFile, UnsupportedFormat
        The projection is damaged, or was written by a newer release.
    """
    store.need(f"projections/{name}/")
    folder = folder_of(store.path, name)
    if not (folder / MANIFEST).exists():
        existing = ", ".join(find_projections(store)) or "none"
        raise MissingFile(
            f"{store.path} has no projection {name} (it has {existing}); "
            f"make it with pairdex project {store.path} {name}"
        )
    record = read_record(folder)
    if not record.is_current(store):
        raise Mismatch(
            f"{folder} was made from {counted(record.rows, 'row')}; {store.path} now has other vectors, "
            f"{counted(store.rows, 'row')}; run pairdex project {store.path} {name} again"
        )
    _check_file(folder / record.model.path, record.model.bytes)
    if checksums.of_file(folder / record.model.path) != record.model.checksum:
        raise _damaged(folder / record.model.path, "its checksum does not match")
    model, _ = read_model(folder / record.model.path)
    files = record.files[: len(store.manifest.parts)]
    return Projection(record, model, [_mapped(folder, file, model) for file in files])


def read_record(folder: Path) -> Record:
    """Read and check the `projection.json` in a projection's folder.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        The file does not exist, is damaged, or was written by another program or a newer release.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist: the projection is not finished") from error
    remedy = f"delete {folder} and run pairdex project again"
    content = read_sealed(data, path, kind=FORMAT, version=FORMAT_VERSION, remedy=remedy)
    record = sealed_record(Record, content, path, advice=remedy)
    for name in (record.model.path, *(file.path for file in record.files)):
        local_name(name, str(path))
    return record


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
    with reading(path, advice=f"delete {folder} and project again"):
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
