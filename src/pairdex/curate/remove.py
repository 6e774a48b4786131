"""Removing rows for good, by id, by URL or by filter: from then on nothing finds or shows them.

The vectors stay in their files until a new collection is made without them. A takedown waits for no
build: tombstones have a lock of their own, and rows of parts that arrive meanwhile are looked at too.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from pairdex.errors import DamagedFile, InvalidArgument, MissingFile
from pairdex.files import lock
from pairdex.files.boundary import reading
from pairdex.store.manifest import read_manifest
from pairdex.store.removed import add_removed, check_reason
from pairdex.store.store import Store, as_ids

__all__ = ["RemoveReport", "read_ids", "read_urls", "remove_rows"]

_SHOWN = 80  # characters of a line that is no id


@dataclass(frozen=True)
class RemoveReport:
    """What a removal did.

    Attributes
    ----------
    removed
        Rows that were removed now.
    already
        Rows that were asked for, but had been removed before.
    unknown
        URLs that no row has, by number and as they were given.
    rows
        Rows that are left in the collection.
    """

    removed: int
    already: int
    unknown: int
    unknown_urls: list[str]
    rows: int
    seconds: float


def remove_rows(
    collection: Path,
    *,
    ids: ArrayLike | None = None,
    urls: Sequence[str] | None = None,
    where: str | None = None,
    reason: str,
    now: datetime,
) -> RemoveReport:
    """Remove the rows of a collection that are named in exactly one way.

    Parameters
    ----------
    ids
        Integers; each must be, or have been, a row of the collection.
    urls
        Compared with the column `url` as they are, byte for byte; all rows of a URL are removed.
    where
        A SQL predicate over the columns and `id`.
    reason
        One line, kept with the rows.
    now
        The time that is kept with the rows, with its time zone.

    Raises
    ------
    InvalidArgument
        Not exactly one selection, an id out of range, no column `url`, an empty reason: nothing was
        removed.
    WriteFailed
        No room, or no permission.
    """
    started = time.perf_counter()
    given = [
        name
        for name, value in (("ids", ids), ("urls", urls), ("where", where))
        if value is not None
    ]
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise InvalidArgument(
            f"remove takes exactly one of ids, urls and where, got {got}", field="ids"
        )
    check_reason(reason)
    while True:
        store = Store(collection)
        chosen, unknown = _chosen(store, ids, urls, where)
        with lock.removing(collection):
            if read_manifest(collection).checksum == store.manifest.checksum:
                removed = add_removed(
                    store.path, store.manifest, chosen, reason=reason.strip(), time=now
                )
                break
    left = store.live_rows
    seconds = time.perf_counter() - started
    return RemoveReport(removed, len(chosen) - removed, len(unknown), unknown, left, seconds)


def _chosen(
    store: Store, ids: ArrayLike | None, urls: Sequence[str] | None, where: str | None
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the ids of the rows that are named, and the URLs that no row has."""
    if ids is not None:
        return _of_ids(store, ids), []
    if urls is not None:
        return _of_urls(store, urls)
    assert where is not None, "one of them is given"
    return np.flatnonzero(store.matching(where)), []


def _of_ids(store: Store, ids: ArrayLike) -> NDArray[np.int64]:
    unique = np.unique(as_ids(ids, field="ids"))
    store.check_range(unique)
    return unique


def _of_urls(store: Store, urls: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Return the ids of all rows with one of these URLs, and the URLs that no row has."""
    if "url" not in store.schema.names:
        raise InvalidArgument(
            f"{store.path} has no column url; it has {', '.join(store.schema.names)}", field="urls"
        )
    wanted = pa.array(dict.fromkeys(urls), pa.string())
    is_known = np.zeros(len(wanted), np.bool_)
    ids = [np.empty(0, np.int64)]
    for first, table in store.tables():
        places = pc.index_in(table["url"], value_set=wanted, skip_nulls=True)
        rows = np.flatnonzero(places.is_valid())
        is_known[np.asarray(places.drop_null(), np.int64)] = True
        ids.append(rows + first)
    return np.concatenate(ids), wanted.filter(pa.array(~is_known)).to_pylist()


def read_ids(path: Path) -> NDArray[np.int64]:
    """Read ids from a file: .npy, .csv (its column `id`, or its only one), else one a line.

    Raises
    ------
    MissingFile, DamagedFile, InvalidArgument
        No such file; damaged; a line that is no id.
    """
    if path.suffix.lower() == ".npy":
        return _read_npy(path)
    lines = _lines(path)
    column = 0
    if path.suffix.lower() == ".csv":
        rows = [row for row in csv.reader(lines) if row]
        names = [name.strip().lower() for name in rows[0]] if rows else []
        column = names.index("id") if "id" in names else 0
        if "id" not in names and len(names) > 1:
            raise InvalidArgument(
                f"{path} has {len(names)} columns and none is called id; name one of them id",
                field="ids",
            )
        lines = [row[column] if column < len(row) else "" for row in rows]
    return _integers(path, lines[1:] if lines and lines[0].strip().lower() == "id" else lines)


def read_urls(path: Path) -> list[str]:
    """Read URLs, one a line; empty lines do not count.

    Raises
    ------
    MissingFile, DamagedFile
        No such file; no text.
    """
    return [line for line in _lines(path) if line]


def _read_npy(path: Path) -> NDArray[np.int64]:
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected a file of ids")
    with reading(path, advice="write it again"):
        array = np.asarray(np.load(path, allow_pickle=False))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidArgument(
            f"{path} holds {array.dtype} of shape {array.shape}, expected integers (n,)",
            field="ids",
        )
    ids: NDArray[np.int64] = array
    return ids


def _integers(path: Path, lines: list[str]) -> NDArray[np.int64]:
    ids = []
    for line in lines:
        text = line.strip()
        if not text:
            continue
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 19):
            raise InvalidArgument(f"{path} holds {text!r:.{_SHOWN}}, expected an id", field="ids")
        ids.append(int(text))
    return np.array(ids, np.int64)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist; expected a file of text") from error
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{path} is no UTF-8 text: {error.reason}") from error
