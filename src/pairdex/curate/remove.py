"""Remove rows permanently by id, URL or filter, so that nothing finds or shows them.

The vectors stay in their files until a new collection is made without them. A takedown does not
wait for a running build, because tombstones have a separate lock. It also covers parts that arrive
in the meantime.
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
from pairdex.store.sharded import open_store
from pairdex.store.store import Store, as_ids

__all__ = ["RemoveReport", "remove", "remove_rows"]


@dataclass(frozen=True)
class RemoveReport:
    """The result of a removal.

    Attributes
    ----------
    removed
        Number of rows removed by this call.
    already
        Number of requested rows that had been removed before.
    unknown
        URLs without a matching row: their number, and the URLs as given.
    rows
        Number of rows left in the collection.
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
    """Remove rows from all searches and pages. Give exactly one of ids, urls and where.

    The removal takes effect at once in opened collections and running services. Ids do not change,
    and the vectors stay in the files.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    ids
        Integers (n,), or a file of ids: .npy, .csv (column `id` or the only column), or text with
        one per line; or DataComp's .npy of uids.
    urls
        URLs, or a file with one URL per line. They are compared exactly. All rows with a URL are
        removed.
    where
        A SQL predicate over the columns and `id`.
    reason
        One line, stored with the removed rows and the time.

    Returns
    -------
    RemoveReport
        Number of rows removed now and before, and the URLs without a matching row.

    Raises
    ------
    PairdexError
        An id is out of range, the filter is invalid, another process is writing, or the disk is
        full. In these cases, nothing is removed.
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
    return ids_of_uids(open_store(collection), path) if is_uid_file(path) else read_ids(path)


def remove_rows(
    collection: Path,
    *,
    ids: ArrayLike | None = None,
    urls: Sequence[str] | None = None,
    where: str | None = None,
    reason: str,
    now: datetime,
) -> RemoveReport:
    """Remove rows of a collection, selected by exactly one of ids, urls and where.

    Parameters
    ----------
    ids
        Integers. Each must be the id of a current or removed row.
    urls
        URLs to compare with the column `url`, byte for byte. All rows with a URL are removed.
    where
        A SQL predicate over the columns and `id`.
    reason
        One line, stored with the removed rows.
    now
        The time to store with the removed rows, with its time zone.

    Raises
    ------
    InvalidArgument
        The call does not give exactly one selection, an id is out of range, the column `url` is
        missing, or the reason is empty. Nothing is removed.
    WriteFailed
        The disk is full, or permission is denied.
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
    removed = 0
    while True:
        store = open_store(collection)
        chosen, unknown = _chosen(store, ids, urls, where)
        added, is_done = _added(store, chosen, reason.strip(), now)
        removed += added
        if is_done:
            break
    left = store.live_rows
    seconds = time.perf_counter() - started
    return RemoveReport(removed, len(chosen) - removed, len(unknown), unknown, left, seconds)


def _added(store: Store, chosen: NDArray[np.int64], reason: str, now: datetime) -> tuple[int, bool]:
    """Record removed rows, in the shard that has them if there are shards.

    Return how many are newly removed, and whether all are recorded: not where the collection has changed.
    """
    if not store.shards:
        with lock.removing(store.path):
            if read_manifest(store.path).checksum != store.manifest.checksum:
                return 0, False
            added = add_removed(store.path, store.manifest, chosen, reason=reason, time=now)
        return added, True
    total, is_done, first = 0, True, 0
    for shard in store.shards:
        own = chosen[(chosen >= first) & (chosen < first + shard.rows)] - first
        first += shard.rows
        if len(own):
            added, is_whole = _added(shard, own, reason, now)
            total, is_done = total + added, is_done and is_whole
    return total, is_done


def _chosen(
    store: Store, ids: ArrayLike | None, urls: Sequence[str] | None, where: str | None
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the ids of the selected rows, and the URLs without a matching row."""
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
    """Return the ids of all rows with one of the URLs, and the URLs without a matching row."""
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
