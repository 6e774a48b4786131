"""Reading SISAP's HDF5 files of neighbours: `knns`, `dists`, and the facts that they state.

Facts come from the attributes of the file, from scalar datasets (as Julia's JLD2 writes them) and from
the attributes of `knns`. Everything else in the file is ignored, for example JLD2's `_types`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pairdex.arguments import StrPath
from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat
from pairdex.files.hdf5 import dataset_at, open_hdf5, read_whole, text_of

__all__ = [
    "FIRST_ID",
    "Fact",
    "NeighbourTable",
    "ascend",
    "read_facts",
    "read_kinds",
    "read_neighbours",
    "split_group",
]

Fact = str | int | float

FIRST_ID = "first_id"  # the attribute of `knns` in our files: the number of the first row

ASCENT_TOLERANCE = 1e-5  # for float32 rounding when checking that distances ascend


@dataclass(frozen=True)
class NeighbourTable:
    """The content of a file of neighbours, not yet transposed or renumbered.

    Attributes
    ----------
    path
        The file, with `:GROUP` if a group was named.
    knns
        (n, k) or (k, n) int64, as stored.
    dists
        float32 of the same shape; None if the file has none.
    facts
        The facts that the file states, by name.
    kinds
        The kind of each query, (n,) text, if the file has a dataset `kind`.
    """

    path: str
    knns: NDArray[np.int64]
    dists: NDArray[np.float32] | None
    facts: dict[str, Fact]
    kinds: NDArray[np.str_] | None = None


def read_neighbours(source: StrPath) -> NeighbourTable:
    """Read a file of neighbours, or one of its groups as `FILE:GROUP`.

    Raises
    ------
    MissingFile, UnsupportedFormat, DamagedFile
        No such file; not HDF5, or without tables of neighbours; tables that do not match.
    """
    path, group = split_group(source)
    with _opened(path) as file:
        place = file
        if group is None and dataset_at(file, "knns") is None:
            group = _only_group(source, file)
        if group is not None:
            if not isinstance(file.get(group), h5py.Group):
                raise UnsupportedFormat(f"{path} holds no group {group}; it holds {_listed(file)}")
            place = file[group]
        return _table(f"{path}:{group}" if group else str(source), place, file)


def _only_group(source: StrPath, file: h5py.File) -> str | None:
    """Return the group that holds neighbours if the file itself holds none, as SISAP's of 2025.

    Raises
    ------
    UnsupportedFormat
        Several groups hold neighbours.
    """
    holding = [
        text_of(key)
        for key, item in file.items()
        if isinstance(item, h5py.Group) and dataset_at(item, "knns") is not None
    ]
    if len(holding) > 1:
        listed = ", ".join(f"{source}:{name}" for name in holding)
        raise UnsupportedFormat(
            f"{source} holds neighbours in several groups: name one of {listed}"
        )
    return holding[0] if holding else None


def read_facts(path: Path) -> tuple[dict[str, Fact], frozenset[str]]:
    """Return the facts that an HDF5 file states, and the names of its members.

    `knns` is among them also if a group of the file holds it.

    Raises
    ------
    MissingFile, UnsupportedFormat, DamagedFile
        As `read_neighbours`.
    """
    with _opened(path) as file:
        names = frozenset(map(text_of, file))
        if "knns" not in names and any(
            isinstance(item, h5py.Group) and dataset_at(item, "knns") is not None
            for item in file.values()
        ):
            names |= {"knns"}
        return _facts(file), names


def read_kinds(path: Path) -> NDArray[np.str_] | None:
    """Return the kind of each query in an HDF5 file; None if it has no dataset `kind`."""
    with _opened(path) as file:
        return _kinds(str(path), file)


def ascend(dists: NDArray[np.float32], axis: int) -> bool:
    """Return whether distances never descend along an axis, up to rounding; infinities are equal."""
    along = dists if axis == 1 else dists.T
    return bool(np.all(along[:, 1:] >= along[:, :-1] - ASCENT_TOLERANCE))


def split_group(source: StrPath) -> tuple[Path, str | None]:
    """Split `FILE:GROUP`; a colon in an existing file's name is part of it."""
    path = Path(source)
    file, colon, group = os.fspath(source).rpartition(":")
    if path.exists() or not colon:
        return path, None
    if ":" in path.name or Path(file).is_file():  # a group may hold slashes: FILE:otest/queries
        return Path(file), group
    return path, None


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever HDF5 complains of becomes one of our errors."""
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected an HDF5 file of neighbours")
    with open_hdf5(path, advice="fetch or write it again") as file:
        yield file


def _table(name: str, place: h5py.Group, file: h5py.File) -> NeighbourTable:
    stored = dataset_at(place, "knns")
    if stored is None:
        raise UnsupportedFormat(
            f"{name} holds no dataset knns: it holds {_listed(place)}; expected knns and dists"
        )
    if stored.ndim != 2 or stored.dtype.kind not in "iu":
        raise UnsupportedFormat(
            f"{name} has knns of {stored.dtype} and shape {stored.shape}; expected integers (n, k)"
        )
    knns = read_whole(stored)
    if knns.dtype == np.uint64:  # -1 in it is the largest value, which means no neighbour
        knns = np.minimum(knns, np.uint64(np.iinfo(np.int64).max))
    distances = dataset_at(place, "dists")
    dists = None if distances is None else read_whole(distances)
    if dists is not None and (dists.shape != knns.shape or dists.dtype.kind not in "fiu"):
        raise DamagedFile(
            f"{name} has knns of shape {knns.shape}, but dists of {dists.dtype} and shape "
            f"{dists.shape}: they do not belong together"
        )
    facts = {**_facts(file), **_facts(place), **dict(_plain(stored.attrs))}
    return NeighbourTable(
        name,
        knns.astype(np.int64),
        None if dists is None else dists.astype(np.float32),
        facts,
        _kinds(name, place),
    )


def _facts(place: h5py.Group) -> dict[str, Fact]:
    scalars = {
        key: read_whole(item)
        for key, item in place.items()
        if isinstance(item, h5py.Dataset) and item.shape == ()
    }
    return {**dict(_plain(scalars)), **dict(_plain(place.attrs))}


def _plain(values: Mapping[str, Any]) -> Iterator[tuple[str, Fact]]:
    """Yield texts and numbers as Python values; skip everything else."""
    for key, value in values.items():
        one = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
        if isinstance(one, (str, bytes)):
            yield text_of(key), text_of(one)
        elif isinstance(one, (np.number, np.bool_)) and one.dtype.kind != "c":
            yield text_of(key), one.item()


def _kinds(name: str, place: h5py.Group) -> NDArray[np.str_] | None:
    dataset = dataset_at(place, "kind")
    if dataset is None or dataset.ndim != 1:
        return None
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise UnsupportedFormat(
            f"{name} has a dataset kind of {dataset.dtype}; expected texts (n,)"
        )
    return np.asarray([text_of(one) for one in read_whole(dataset)], np.str_)


def _listed(place: h5py.Group) -> str:
    return ", ".join(text_of(key) for key in place if key != "_types") or "nothing"
