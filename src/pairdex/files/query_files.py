"""Reading query vectors from .npy, .npz, .h5 and .fvecs files."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, as_array
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.files import checksums
from pairdex.files.boundary import reading
from pairdex.files.hdf5 import HDF5_SUFFIXES, dataset_at, open_hdf5, read_whole, text_of
from pairdex.files.neighbour_files import Fact, read_facts, read_kinds, split_group
from pairdex.files.vectors import npy_description, npz_members, open_vectors
from pairdex.wording import counted

__all__ = [
    "QUERIES_NAME",
    "Queries",
    "query_array",
    "query_set",
    "read_queries",
    "read_query_set",
    "shown_source",
]

QUERIES_NAME = "emb"  # what SISAP calls the vectors in an HDF5 file


@dataclass(frozen=True)
class Queries:
    """Query vectors with the facts that their file states.

    Attributes
    ----------
    vectors
        (n, dim) float32, or the words (n, words) uint64 of binary sketches.
    facts
        `kind` (image or text), `collection_checksum`, …; empty if the file states none.
    kinds
        The kind of each query (n,), if the file has a dataset `kind`.
    """

    vectors: NDArray[Any]
    facts: dict[str, Fact]
    kinds: NDArray[np.str_] | None = None

    @property
    def checksum(self) -> str:
        """The XXH3-128 of the vectors as little-endian float32 (of sketches: uint64), whatever the file."""
        dtype = "<u8" if self.vectors.dtype == np.uint64 else "<f4"
        return checksums.of_bytes(self.vectors.astype(dtype, copy=False).tobytes())


def query_set(queries: StrPath | ArrayLike) -> Queries:
    """Return query vectors that are given as an array, or as a file as `read_query_set`.

    Raises
    ------
    InvalidArgument
        Of `queries`: no numbers, or of another shape than (n, dim).
    """
    if isinstance(queries, (str, os.PathLike)):
        return read_query_set(queries)
    return Queries(query_array(queries, field="queries"), {})


def query_array(vectors: ArrayLike, *, field: str) -> NDArray[Any]:
    """Return query vectors (n, dim) as float32, or as the uint64 words of binary sketches; (dim,) is n = 1.

    Raises
    ------
    InvalidArgument
        Of `field`: no numbers, or of another shape.
    """
    array = as_array(vectors, field=field)
    if array.ndim == 1 and array.size:
        array = array[None, :]
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"{field} is {array.dtype} of shape {array.shape}, expected numbers (n, dim)",
            field=field,
        )
    if array.dtype == np.uint64:
        return np.ascontiguousarray(array)
    with np.errstate(
        over="ignore"
    ):  # what float32 cannot hold becomes infinite and is refused later
        return np.ascontiguousarray(array, np.float32)


def shown_source(queries: StrPath | ArrayLike) -> str:
    """Return what messages call query vectors: their file, or `queries`."""
    return os.fspath(queries) if isinstance(queries, (str, os.PathLike)) else "queries"


def read_query_set(source: StrPath) -> Queries:
    """Read query vectors like `read_queries`, or binary sketches, with the facts of an HDF5 file."""
    vectors = _read_rows(source)
    path, _ = split_group(source)
    if path.suffix.lower() not in HDF5_SUFFIXES:
        return Queries(vectors, {})
    kinds = read_kinds(path)
    if kinds is not None and len(kinds) != len(vectors):
        raise DamagedFile(
            f"{path} has {len(kinds):,} kinds for {counted(len(vectors), 'query')}: it is damaged"
        )
    return Queries(vectors, read_facts(path)[0], kinds)


def read_queries(source: StrPath) -> NDArray[np.float32]:
    """Read query vectors from an .npy, .npz, .h5 or .fvecs file; `FILE:NAME` picks an array.

    If an HDF5 file has several arrays, `emb` is read unless another is named.

    Returns
    -------
    NDArray[np.float32], shape (n, dim)
        A file that holds one vector gives n = 1.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, InvalidArgument
        No such file; damaged; not rows of floats; several arrays and none named.
    """
    rows = _read_rows(source)
    if rows.dtype == np.uint64:
        raise UnsupportedFormat(
            f"{source} holds uint64 of shape {rows.shape}; expected rows of floats (n, dim)"
        )
    return rows


def _read_rows(source: StrPath) -> NDArray[Any]:
    path, name = split_group(source)
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a file of query vectors")
    readers = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        **dict.fromkeys(HDF5_SUFFIXES, _read_h5),
        ".fvecs": _read_fvecs,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UnsupportedFormat(
            f"{path} is not a file of query vectors: got {path.suffix or 'no suffix'}, "
            f"expected one of {', '.join(readers)}"
        )
    with reading(path):
        array = reader(path, name)
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim == 2 and array.dtype == np.uint64:
        return np.ascontiguousarray(array, np.uint64)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise UnsupportedFormat(
            f"{path} holds {array.dtype} of shape {array.shape}; expected rows of floats (n, dim)"
        )
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused later
        return np.ascontiguousarray(array, np.float32)


def _read_npy(path: Path, name: str | None) -> NDArray[Any]:
    if name is not None:
        raise InvalidArgument(f"{path} holds one array; drop :{name}", field="vectors")
    with path.open("rb") as file:
        shape, fortran, dtype, offset = npy_description(file, path)
    expected = offset + math.prod(shape) * dtype.itemsize
    if path.stat().st_size != expected:
        raise DamagedFile(
            f"{path} is {path.stat().st_size:,} bytes, its header says {expected:,}: it is truncated or damaged"
        )
    flat = np.fromfile(path, dtype, offset=offset)
    return flat.reshape(shape, order="F" if fortran else "C")


def _read_npz(path: Path, name: str | None) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        member = _choose(path, npz_members(archive), name)
    file = open_vectors(path, member)
    return np.concatenate(
        list(file.blocks(max(1, file.rows))) or [np.empty((0, file.dim), file.dtype)]
    )


def _read_h5(path: Path, name: str | None) -> NDArray[Any]:
    with open_hdf5(path) as file:
        tables = {key: dataset_at(file, key) for key in file}
        found = {
            key: table for key, table in tables.items() if table is not None and table.ndim == 2
        }
        if name is None and QUERIES_NAME in found:
            name = QUERIES_NAME
        inside = None if name is None else _in_group(file, name)
        if inside is not None:
            return np.asarray(read_whole(inside))
        return np.asarray(read_whole(found[_choose(path, list(found), name)]))


def _in_group(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return the queries of a group of SISAP's files since 2025: `otest`, or `otest/queries`."""
    group, _, member = name.partition("/")
    if not isinstance(file.get(group), h5py.Group):
        return None
    found = dataset_at(file[group], member or "queries")
    return found if found is not None and found.ndim == 2 else None


def _read_fvecs(path: Path, name: str | None) -> NDArray[Any]:
    if name is not None:
        raise InvalidArgument(f"{path} holds one array; drop :{name}", field="vectors")
    words = np.fromfile(path, "<i4")
    dim = int(words[0]) if len(words) else 0
    if (
        dim < 1
        or path.stat().st_size % (4 * (dim + 1))
        or (words.reshape(-1, dim + 1)[:, 0] != dim).any()
    ):
        raise DamagedFile(f"{path} is not an .fvecs file: its rows differ in dimension")
    return words.reshape(-1, dim + 1)[:, 1:].view("<f4")


def _choose(path: Path, names: list[str], name: str | None) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return str(name)
    if not names:
        raise UnsupportedFormat(f"{path} holds no 2-D array; expected rows of floats (n, dim)")
    listed = ", ".join(map(text_of, names))
    asked = f"got {name}" if name else "say which"
    raise InvalidArgument(
        f"{path} holds the arrays {listed}: {asked}, as in {path}:{text_of(names[0])}",
        field="vectors",
    )
