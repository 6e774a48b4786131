"""Rows that a user removed stay removed when newer rows bring the same pictures again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.files import lock
from pairdex.store.removed import add_removed, read_reasons
from pairdex.store.store import Store

__all__ = ["carry_removed", "removed_by_users"]


def removed_by_users(
    store: Store, rows: NDArray[np.int64], ours: Iterable[str]
) -> list[tuple[str, NDArray[np.int64]]]:
    """Return which of `rows` were removed for other reasons than `ours`: the ids, by reason."""
    ids, reasons = read_reasons(store.path, store.manifest)
    theirs = np.isin(ids, rows) & ~_mask(pc.is_in(reasons, pa.array(ours, pa.string())))
    ids, reasons = ids[theirs], reasons.filter(pa.array(theirs))
    return [
        (reason, ids[_mask(pc.equal(reasons, reason))]) for reason in reasons.unique().to_pylist()
    ]


def carry_removed(
    store: Store,
    *,
    old: NDArray[np.int64],
    new: NDArray[np.int64],
    column: str,
    ours: Iterable[str],
    now: datetime,
) -> int:
    """Remove those of the rows `new` that a user removed from the rows `old`, for the same reason.

    A new row counts as the same if it has the same value in `column`. Values that another old row
    still has are left: the user removed one of several equal rows.

    Parameters
    ----------
    ours
        Reasons of rows that pairdex itself took down for newer ones.

    Returns
    -------
    int
        The number of rows removed.

    Raises
    ------
    WriteFailed
        The disk is full.
    """
    by_reason = removed_by_users(store, old, ours)
    if not by_reason:
        return 0
    taken = np.concatenate([ids for _, ids in by_reason])
    kept = _values(store, np.setdiff1d(old, taken), column)
    values = _values(store, new, column)
    carried = 0
    for reason, ids in by_reason:
        gone = _values(store, ids, column)
        gone = gone.filter(pc.and_(_says_something(gone), pc.invert(pc.is_in(gone, kept))))
        same = new[_mask(pc.is_in(values, gone))]
        with lock.removing(store.path):
            carried += add_removed(store.path, store.manifest, same, reason=reason, time=now)
    return carried


def _values(store: Store, ids: NDArray[np.int64], column: str) -> pa.Array:
    return store.read(ids, [column])[column].combine_chunks()


def _mask(flags: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(flags.to_numpy(zero_copy_only=False), np.bool_)


def _says_something(values: pa.Array) -> pa.Array:
    return pc.fill_null(pc.not_equal(values, ""), fill_value=False)
