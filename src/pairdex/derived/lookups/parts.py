"""One derived file for each part of a collection: opened where it fits, made where it does not.

A part's file is made of one part in memory at a time, and stays when other parts are added.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pairdex.errors import CollectionBusy, InvalidArgument, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.array_files import Arrays, open_arrays, write_arrays
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["Kind", "have_arrays"]


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What is derived: its name and version, the column it is of, and how a part's is made."""

    name: str
    version: int
    column: str
    make: Callable[[list[pa.ChunkedArray]], Arrays]


def have_arrays(store: Store, kind: Kind, *, progress: StepProgress | None = None) -> list[Arrays]:
    """Return the arrays of each part, made and written first where they are missing.

    Where they cannot be written (no room, no permission, another writer) they are kept in memory, and
    a warning says so.

    Raises
    ------
    InvalidArgument
        The collection has not the column.
    DamagedFile, UnsupportedFormat
        There is a file, but it is damaged or of another version.
    """
    if kind.column not in store.schema.names:
        raise InvalidArgument(
            f"{store.path} has no column {kind.column}; it has {', '.join(store.schema.names)}",
            field=kind.name,
        )
    found = [_opened(store, kind, index) for index in range(len(store.manifest.parts))]
    if any(arrays is None for arrays in found):
        try:
            with lock.writing(store.path):
                return [
                    _had(store, kind, index, progress, write=True) for index in range(len(found))
                ]
        except (WriteFailed, CollectionBusy) as error:
            _log.warning("looking up %s without files, made anew each time: %s", kind.name, error)
            return [_had(store, kind, index, progress, write=False) for index in range(len(found))]
    return [arrays for arrays in found if arrays is not None]


def _had(
    store: Store, kind: Kind, index: int, progress: StepProgress | None, *, write: bool
) -> Arrays:
    arrays = _opened(store, kind, index)
    if arrays is not None:
        return arrays
    arrays = kind.make([table[kind.column] for table in store.part_tables(index)])
    if progress is not None:
        progress(store.first_id(index) + store.manifest.parts[index].rows, store.rows)
    if write:
        path = _path(store, kind, index)
        atomic.make_folder(path.parent)
        atomic.discard_partials(path.parent)
        write_arrays(
            path, arrays, kind=kind.name, version=kind.version, source=_source(store, index)
        )
    return arrays


def _opened(store: Store, kind: Kind, index: int) -> Arrays | None:
    return open_arrays(
        _path(store, kind, index),
        kind=kind.name,
        version=kind.version,
        source=_source(store, index),
    )


def _path(store: Store, kind: Kind, index: int) -> Path:
    return store.path / "indexes" / kind.name / f"{index:05}"


def _source(store: Store, index: int) -> str:
    return store.manifest.parts[index].files["metadata"].checksum
