"""Removing rows for good, by id, by URL or by filter: from then on nothing finds or shows them.

The vectors stay in their files until a new collection is made without them. A takedown waits for no
build: tombstones have a lock of their own, and rows of parts that arrive meanwhile are looked at too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath, checked
from pairdex.curate.id_files import ids_or_file, read_ids, urls_of
from pairdex.curate.uid_files import ids_of_uids, is_uid_file
from pairdex.errors import InvalidArgument
from pairdex.files import lock
from pairdex.store.manifest import read_manifest
from pairdex.store.removed import add_removed, check_reason
from pairdex.store.store import Store, as_ids

__all__ = ["RemoveReport", "remove", "remove_rows"]


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


@checked
def remove(
    collection: StrPath,
    *,
    ids: StrPath | ArrayLike | None = None,
    urls: StrPath | Iterable[str] | None = None,
    where: str | None = None,
    reason: str,
) -> RemoveReport:
    """Remove the rows that are named in exactly one way: no search and no page shows them any more.

    Opened collections and running services notice at once. Ids do not change, and the vectors stay in
    the files.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    ids
        Integers (n,), or a file of them: .npy, .csv (its column `id`, or its only one), or one a line; or
        DataComp's .npy of uids.
    urls
        Compared as they are; or a file of them, one a line. All rows of a URL are removed.
    where
        A SQL predicate over the columns and `id`.
    reason
        One line, kept with the rows and the time.

    Returns
    -------
    RemoveReport
        How many rows were removed now, had been before, and which URLs no row has.

    Raises
    ------
    PairdexError
        An id out of range, a filter that is none, another writer, no room: nothing was removed.
    """
    chosen = ids_or_file(ids, field="ids")
    return remove_rows(
        Path(collection),
        ids=_read(Path(collection), chosen) if isinstance(chosen, Path) else chosen,
        urls=None if urls is None else urls_of(urls),
        where=where,
        reason=reason,
        now=datetime.now(timezone.utc),
    )


def _read(collection: Path, path: Path) -> NDArray[np.int64]:
    return ids_of_uids(Store(collection), path) if is_uid_file(path) else read_ids(path)


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
