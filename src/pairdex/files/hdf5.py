"""The one door through which HDF5 files are read: what leads out of a file is refused before any read.

HDF5 can keep a dataset's bytes in any other file of the machine (external storage), link to other
files (external links), and compose datasets of those of other files (virtual datasets, which end the
process where they contain themselves). No released file needs any of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, MissingExtra, UnsupportedFormat
from pairdex.files.boundary import reading

__all__ = [
    "HDF5_SUFFIXES",
    "check_whole",
    "dataset_at",
    "followed",
    "open_hdf5",
    "read_whole",
    "text_of",
]

HDF5_SUFFIXES = (".h5", ".hdf5", ".jld2")
"""Files of HDF5; Julia's JLD2 is one."""

_MAX_OBJECTS = (
    100_000  # groups and datasets; a released file has a dozen, a projection's model five
)
_MAX_RATIO = 1100  # bytes of which deflate can make one, rounded up
_FREE_BYTES = 64 << 20  # that a dataset may have without having stored any
# Numbers of the filters that people meet (registered with the HDF Group).
_FILTERS = {
    4: "szip",
    305: "LZO",
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "zstd",
    32026: "Blosc2",
}


@contextmanager
def open_hdf5(
    path: Path, *, cache_bytes: int | None = None, advice: str = "fetch it again"
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, after looking at all that is in it.

    Whatever the library raises inside, also while the caller reads, becomes one line.

    Parameters
    ----------
    cache_bytes
        For chunks of a dataset; None leaves it to the library.
    advice
        What to do about a damaged file.

    Raises
    ------
    UnsupportedFormat
        Not HDF5; it leads to other files.
    MissingExtra
        It needs a filter that is not installed.
    DamagedFile
        It cannot be read.
    """
    with reading(path, advice=advice):
        if path.stat().st_size == 0:
            raise DamagedFile(f"{path} is empty; {advice}")
        if not h5py.is_hdf5(path):
            raise UnsupportedFormat(f"{path} is not an HDF5 file; {advice}")
        with h5py.File(path, "r", rdcc_nbytes=cache_bytes, locking=False) as file:
            _check_all(file, path)
            yield file


def check_whole(path: Path) -> None:
    """Check that a file begins and ends as HDF5 says, without looking at what it holds.

    Raises
    ------
    DamagedFile
        It is truncated, or something else.
    """
    with reading(path), h5py.File(path, "r", locking=False):
        pass


def read_whole(dataset: h5py.Dataset) -> Any:  # noqa: ANN401 - an array, or a scalar's value
    """Return all of a dataset, which must have been stored, and not only be claimed.

    Raises
    ------
    DamagedFile
        It claims more bytes than can be made of those that are stored.
    """
    claimed, stored = dataset.nbytes, dataset.id.get_storage_size()
    if claimed > _FREE_BYTES + _MAX_RATIO * stored:
        raise DamagedFile(
            f"{_place(dataset)} claims {claimed:,} bytes, of which {stored:,} are stored: "
            "it is damaged; fetch it again"
        )
    return dataset[()]


def followed(file: h5py.File, reference: h5py.Reference) -> NDArray[Any]:
    """Return the dataset that a reference in a file leads to, checked like those that have names.

    Raises
    ------
    UnsupportedFormat, DamagedFile
        As `open_hdf5`; it leads to something else.
    """
    item = file[reference]
    if not isinstance(item, h5py.Dataset):
        raise DamagedFile(f"{file.filename} has a reference to what is not a dataset")
    _check_dataset(item.id, "a dataset without a name", file.filename)
    return np.asarray(read_whole(item))


def dataset_at(place: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return the dataset of a name; None where there is none, or something else."""
    item = place.get(name)
    return item if isinstance(item, h5py.Dataset) else None


def text_of(value: str | bytes) -> str:
    """Return a text of a file as text, whatever its bytes are."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    return data.decode(errors="replace")


def _check_all(file: h5py.File, path: Path) -> None:
    """Look at every object that has a name, without reading any data."""
    waiting, seen = [("", file.id)], {h5py.h5o.get_info(file.id).addr}
    while waiting:
        prefix, group = waiting.pop()
        for name, kind in _links(group, path):
            place = f"{prefix}{text_of(name)}"
            if kind == h5py.h5l.TYPE_SOFT:  # stays in the file: no link leads out
                continue
            if kind != h5py.h5l.TYPE_HARD:
                raise _leads_out(path, place, "an external link")
            item = h5py.h5o.open(group, name)
            address = h5py.h5o.get_info(item).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MAX_OBJECTS:
                raise UnsupportedFormat(
                    f"{path} holds more than {_MAX_OBJECTS:,} groups and datasets; expected a few tables"
                )
            if isinstance(item, h5py.h5g.GroupID):
                waiting.append((f"{place}/", item))
            elif isinstance(item, h5py.h5d.DatasetID):
                _check_dataset(item, place, path)


def _links(group: h5py.h5g.GroupID, path: Path) -> list[tuple[bytes, int]]:
    """Return the names in a group, each with the kind of its link."""
    found: list[tuple[bytes, int]] = []

    def take(name: bytes, info: h5py.h5l.LinkInfo) -> bool | None:
        found.append((name, info.type))
        return True if len(found) > _MAX_OBJECTS else None  # ends the iteration

    group.links.iterate(take, info=True)
    if len(found) > _MAX_OBJECTS:
        raise UnsupportedFormat(
            f"{path} holds a group of more than {_MAX_OBJECTS:,} names; expected a few tables"
        )
    return found


def _check_dataset(dataset: h5py.h5d.DatasetID, place: str, path: object) -> None:
    plan = dataset.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL:
        raise _leads_out(path, place, "a virtual dataset")
    if plan.get_external_count():
        raise _leads_out(path, place, "external storage")
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not _has_filter(code):
            called = _FILTERS.get(code) or text_of(name) or "of no known name"
            raise MissingExtra(
                f"{path}: {place} is compressed with the HDF5 filter {code} ({called}), which is not "
                "installed: pip install hdf5plugin, or save the file again with gzip (h5repack -f GZIP=4)"
            )


def _has_filter(code: int) -> bool:
    """Whether a filter is at hand, also one of those that hdf5plugin brings."""
    with suppress(OSError, RuntimeError, ValueError):
        if h5py.h5z.filter_avail(code):
            return True
    try:
        importlib.import_module("hdf5plugin")  # registers its filters
    except ImportError:
        return False
    with suppress(OSError, RuntimeError, ValueError):
        return bool(h5py.h5z.filter_avail(code))
    return False


def _leads_out(path: object, place: str, what: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"{path}: {place} is {what}, which may read any other file of this machine and is refused; "
        "copy the data into one file (h5repack)"
    )


def _place(dataset: h5py.Dataset) -> str:
    return f"{dataset.file.filename}:{text_of(dataset.name or 'a dataset without a name')}"
