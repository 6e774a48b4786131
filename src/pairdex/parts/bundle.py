"""SISAP's bundles: all vectors of a subset in one HDF5 file, and their metadata in a TSV beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    MissingExtra,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.files.boundary import reading
from pairdex.files.foreign import foreign
from pairdex.files.hdf5 import HDF5_SUFFIXES, dataset_at, open_hdf5, text_of
from pairdex.parts.whole import entries

__all__ = [
    "BundleVectors",
    "bundle_size",
    "find_bundle",
    "is_bundle_name",
    "metadata_beside",
    "open_bundle",
]

# The dataset of the vectors: `emb` until 2024, `train` since 2025, where other groups hold queries.
DATASETS = ("emb", "train")
DATASET = DATASETS[0]

_NAME = re.compile(r"(clip(?P<dim>\d+)(v\d+)?-)?\bn=(?P<size>\d+[KM]?)\b")
_MAX_DIM = 8192  # largest dimension of any model; longer rows mean a transposed matrix
_DTYPES = ("float16", "float32")
_MAX_CACHE_BYTES = 256 << 20  # for chunks that two blocks share


@dataclass(frozen=True)
class BundleVectors:
    """The rows of an HDF5 dataset, read as a `VectorFile` is.

    If `is_transposed`, the file stores them as columns.
    """

    path: Path
    rows: int
    dim: int
    dtype: np.dtype[Any]
    is_transposed: bool
    cache_bytes: int
    member: str = DATASET

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def blocks(self, block_rows: int) -> Iterator[NDArray[Any]]:
        """Yield the rows in order as new arrays (up to `block_rows`, dim) of the file's dtype.

        Raises
        ------
        DamagedFile
            The file is truncated or a compressed chunk is corrupt.
        """
        with open_hdf5(self.path, cache_bytes=self.cache_bytes) as file:
            data = file[self.member]
            for start in range(0, self.rows, block_rows):
                rows = slice(start, min(self.rows, start + block_rows))
                with reading(f"{self.path} at row {start:,}"):
                    block = data[:, rows].T if self.is_transposed else data[rows]
                yield np.ascontiguousarray(block, self.dtype)


def is_bundle_name(path: Path) -> bool:
    """Return whether a bundle may have this name."""
    return path.suffix.lower() in HDF5_SUFFIXES


def find_bundle(folders: Iterable[Path]) -> Path | None:
    """Return the one bundle in these folders; None if there is none.

    Files of queries, projections and gold standards do not count.

    Raises
    ------
    InvalidArgument
        The folders hold several bundles.
    """
    paths = [path for folder in folders for path in entries(folder)]
    found = [path for path in paths if is_bundle_name(path) and _is_bundle(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InvalidArgument(
            f"{found[0].parent} holds several bundles: {names}; name the one to build",
            field="source",
        )
    return found[0] if found else None


def open_bundle(path: Path) -> BundleVectors:
    """Open the vectors of a bundle.

    A dataset (dim, n) is recognised by the dimension in the file's name, as in `clip768`, or where
    its rows are longer than any model's vectors.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, MissingExtra
        The file is missing or damaged, holds something else, or needs an HDF5 filter that is not
        installed.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a bundle of vectors")
    what = foreign(path)
    if what is not None:
        raise DamagedFile(f"{path} {what}")
    with open_hdf5(path) as file:
        for name in DATASETS:
            data = dataset_at(file, name)
            if data is not None:
                return _described(path, data, name)
        if isinstance(file.get("train"), h5py.Group):
            raise UnsupportedFormat(
                f"{path} holds sparse vectors in the group train: expected dense ones, (n, dim)"
            )
        raise UnsupportedFormat(
            f"{path} has no dataset {' or '.join(DATASETS)}; it has {_contents(file)}: "
            "expected a bundle of vectors"
        )


def bundle_size(path: Path) -> str | None:
    """Return the size in a bundle's name: 10M of `laion2B-en-clip768v2-n=10M.h5`."""
    match = _NAME.search(path.name)
    return match["size"] if match else None


def metadata_beside(path: Path) -> Path | None:
    """Return the `meta-10M.tsv` that lies beside the bundle of this size; None without one."""
    size = bundle_size(path)
    beside = path.with_name(f"meta-{size}.tsv")
    return beside if size is not None and beside.is_file() else None


def _is_bundle(path: Path) -> bool:
    """Judge by the name, or by the content if the name is inconclusive."""
    if "queries" in path.name.lower():
        return False
    named = _NAME.search(path.name)
    if named and named["dim"]:  # a damaged file counts, so that the error names it
        return True
    try:
        with open_hdf5(path) as file:
            return any(dataset_at(file, name) is not None for name in DATASETS)
    except (DamagedFile, MissingExtra, UnsupportedFormat):
        return False


def _described(path: Path, data: h5py.Dataset, name: str) -> BundleVectors:
    shape, dtype = data.shape, data.dtype
    if shape is None or len(shape) != 2 or dtype.name not in _DTYPES or min(shape[1], 1) < 1:
        raise UnsupportedFormat(
            f"{path} has {name} as {dtype} of shape {shape}; "
            "expected float16 or float32 of shape (n, dim)"
        )
    is_transposed = _is_transposed(path, shape)
    rows, dim = shape[::-1] if is_transposed else shape
    return BundleVectors(
        path,
        rows,
        dim,
        dtype.newbyteorder("<"),
        is_transposed,
        _cache_bytes(data, is_transposed),
        name,
    )


def _is_transposed(path: Path, shape: tuple[int, int]) -> bool:
    named = _NAME.search(path.name)
    if named and named["dim"] and int(named["dim"]) in shape:
        return shape[1] != int(named["dim"])
    return shape[1] > _MAX_DIM >= shape[0]


def _cache_bytes(data: h5py.Dataset, is_transposed: bool) -> int:
    """Return the size of all chunks that hold one row, so that none is decompressed twice."""
    if data.chunks is None:
        return 1 << 20
    across, along = (1, 0) if is_transposed else (0, 1)
    band = data.chunks[across] * -(-data.shape[along] // data.chunks[along]) * data.chunks[along]
    return int(min(_MAX_CACHE_BYTES, max(1 << 20, 2 * band * data.dtype.itemsize)))


def _contents(file: h5py.File) -> str:
    """List the datasets of a file, without Julia's group `_types`."""
    found = [
        f"{text_of(name)} {item.shape} {item.dtype}"
        for name, item in file.items()
        if isinstance(item, h5py.Dataset)
    ]
    return ", ".join(found) or "none"
