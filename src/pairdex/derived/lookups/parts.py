"""Look-up files, one per part of a collection: opened if they match the part, built otherwise.

Building reads one part into memory at a time. A part's file stays valid when other parts are added.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairdex.errors import CollectionBusy, DamagedFile, InvalidArgument, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.array_files import Arrays, open_arrays, read_source, write_arrays
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["Lookup", "have_arrays", "made_parts", "make_files", "part_file", "part_files"]


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lookup:
    """One look-up: its name and format version, its column, and the function that builds a part's arrays.

    `fits` says whether the lengths of read arrays agree with each other and with the part's rows.
    """

    name: str
    version: int
    column: str
    make: Callable[[list[pa.ChunkedArray]], Arrays]
    fits: Callable[[Arrays, int], bool]


def have_arrays(
    store: Store, lookup: Lookup, *, progress: StepProgress | None = None, write: bool = True
) -> list[Arrays]:
    """Return the arrays of each part; build and write them first if they are missing.

    With `write=False`, missing ones are built in memory. The same happens, with a warning, if they cannot be
    written (a full or read-only disk, another writer).

    Raises
    ------
    InvalidArgument
        The collection does not have the column.
    DamagedFile, UnsupportedFormat
        A file is damaged, or has another format version.
    """
    _check_column(store, lookup)
    if store.shards:
        return [
            arrays
            for shard in store.shards
            for arrays in have_arrays(shard, lookup, progress=progress, write=write)
        ]
    store.need(f"indexes/{lookup.name}/")
    found = [_open(store, lookup, index) for index in range(len(store.manifest.parts))]
    if any(arrays is None for arrays in found):
        if not write:
            return _in_memory(store, lookup, progress)
        try:
            return make_files(store, lookup, progress=progress)
        except (WriteFailed, CollectionBusy) as error:
            _log.warning(
                "%s cannot be saved, so they are built in memory on each use: %s",
                lookup.name,
                error,
            )
            return _in_memory(store, lookup, progress)
    return [arrays for arrays in found if arrays is not None]


def _in_memory(store: Store, lookup: Lookup, progress: StepProgress | None) -> list[Arrays]:
    parts = range(len(store.manifest.parts))
    return [_open_or_build(store, lookup, index, progress, write=False) for index in parts]


def make_files(
    store: Store, lookup: Lookup, *, progress: StepProgress | None = None
) -> list[Arrays]:
    """Build and write the arrays of parts that lack them, and return the arrays of each part.

    The collection is locked only while a file is written, so that long work does not keep out others.

    Raises
    ------
    InvalidArgument, DamagedFile, UnsupportedFormat
        As `have_arrays`.
    CollectionBusy
        Another process writes the collection.
    WriteFailed
        A file cannot be written.
    """
    _check_column(store, lookup)
    if store.shards:
        return [
            arrays
            for shard in store.shards
            for arrays in make_files(shard, lookup, progress=progress)
        ]
    parts = range(len(store.manifest.parts))
    return [_open_or_build(store, lookup, index, progress, write=True) for index in parts]


def made_parts(store: Store, lookup: Lookup) -> list[int]:
    """Return the numbers, from 0, of the parts with a current file. Only headers are read.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The header of a file is damaged, or has another format version.
    """
    if store.shards:
        counts = np.cumsum([0, *(len(shard.manifest.parts) for shard in store.shards)]).tolist()
        return [
            before + index
            for before, shard in zip(counts, store.shards, strict=False)
            for index in made_parts(shard, lookup)
        ]
    store.need(f"indexes/{lookup.name}/")
    return [
        index
        for index in range(len(store.manifest.parts))
        if read_source(
            part_file(store.path, lookup, index), kind=lookup.name, version=lookup.version
        )
        == _source(store, index)
    ]


def part_files(collection: Path, lookup: Lookup) -> list[Path]:
    """Return the files of a look-up, including outdated ones."""
    found = (collection / "indexes" / lookup.name).glob("*")
    return sorted(
        path for path in found if path.name.isdigit()
    )  # other names are files being written


def _check_column(store: Store, lookup: Lookup) -> None:
    if lookup.column not in store.schema.names:
        raise InvalidArgument(
            f"{store.path} has no column {lookup.column}; it has {', '.join(store.schema.names)}",
            field=lookup.name,
        )


def _open_or_build(
    store: Store, lookup: Lookup, index: int, progress: StepProgress | None, *, write: bool
) -> Arrays:
    arrays = _open(store, lookup, index)
    if arrays is not None:
        return arrays
    arrays = lookup.make([table[lookup.column] for table in store.part_tables(index)])
    if progress is not None:
        progress(store.first_id(index) + store.manifest.parts[index].rows, store.rows)
    if write:
        _write(store, lookup, index, arrays)
    return arrays


def _write(store: Store, lookup: Lookup, index: int, arrays: Arrays) -> None:
    path = part_file(store.path, lookup, index)
    with lock.writing(store.path):
        atomic.make_folder(path.parent)
        atomic.discard_partials(path.parent)
        write_arrays(
            path, arrays, kind=lookup.name, version=lookup.version, source=_source(store, index)
        )


def _open(store: Store, lookup: Lookup, index: int) -> Arrays | None:
    path = part_file(store.path, lookup, index)
    arrays = open_arrays(
        path, kind=lookup.name, version=lookup.version, source=_source(store, index)
    )
    if arrays is None:
        return None
    rows = store.manifest.parts[index].rows
    if _types(arrays) != _types(lookup.make([])) or not lookup.fits(arrays, rows):
        raise DamagedFile(f"{path} does not hold the arrays of {lookup.name}; delete it")
    return arrays


def _types(arrays: Arrays) -> dict[str, str]:
    return {name: array.dtype.str for name, array in arrays.items()}


def part_file(collection: Path, lookup: Lookup, index: int) -> Path:
    """Return the path of the file of a part, numbered from 0, which may not exist."""
    return collection / "indexes" / lookup.name / f"{index:05}"


def _source(store: Store, index: int) -> str:
    return store.manifest.parts[index].files["metadata"].checksum
