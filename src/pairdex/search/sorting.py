"""Sort rows by a column: ascending keys of all rows, cached, and the first rows of an order.

Equal values are ordered by id, and rows without a value come last in both directions. Finding a page
costs one pass over the keys, however deep the page is.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.store.store import Store

__all__ = ["MAX_KEY_BYTES", "MAX_TEXTS", "SortKeys", "SortOrders", "first_rows"]

MAX_TEXTS = 200_000  # distinct texts of a column to sort by: some megabytes, sorted in a second
MAX_KEY_BYTES = 256 << 20  # of cached keys: three columns of ten million rows


@dataclass(frozen=True)
class SortKeys:
    """The keys of one order of all rows.

    Attributes
    ----------
    keys
        Shape (rows,), ascending in the order of the rows.
    known
        Shape (rows,), whether a row has a value; None if all have.
    """

    keys: NDArray[Any]
    known: NDArray[np.bool_] | None = None

    @property
    def bytes(self) -> int:
        """The size in memory."""
        return self.keys.nbytes + (0 if self.known is None else self.known.nbytes)

    def descending(self) -> SortKeys:
        """Return the keys of the reverse order; ids of equal values still ascend."""
        # ~x is -x - 1, which cannot overflow.
        turned = -self.keys if self.keys.dtype.kind == "f" else ~self.keys
        return SortKeys(turned, self.known)


class SortOrders:
    """The orders of a collection's rows by column; recently used keys are cached. Thread-safe."""

    def __init__(self, store: Store, *, max_bytes: int = MAX_KEY_BYTES) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._cached: OrderedDict[str, SortKeys] = OrderedDict()
        self._lock = Lock()

    def by(self, column: str, *, descending: bool) -> SortKeys:
        """Return the keys of an order by a column, or by `id`.

        Raises
        ------
        InvalidArgument
            The column does not exist, or its values have no order.
        """
        keys = self._keys(column)
        return keys.descending() if descending else keys

    def _keys(self, column: str) -> SortKeys:
        if column == "id" and column not in self._store.schema.names:
            return SortKeys(np.arange(self._store.rows, dtype=np.int64))
        _check_column(self._store, column)
        with self._lock:  # also while keys are made: a second request waits instead of repeating it
            if column not in self._cached:
                self._cached[column] = _keys_of(self._store, column)
            self._cached.move_to_end(column)
            keys = self._cached[column]
            while len(self._cached) > 1 and self._bytes() > self._max_bytes:
                self._cached.popitem(last=False)
        return keys

    def _bytes(self) -> int:
        return sum(keys.bytes for keys in self._cached.values())


def first_rows(
    keys: SortKeys, allowed: NDArray[np.bool_], count: int, after: int | None = None
) -> NDArray[np.int64]:
    """Return the ids, shape (n,), of the first `count` allowed rows in the order of the keys.

    Parameters
    ----------
    after
        The id of a row: return only rows behind it in this order, whether it is allowed or not.
    """
    behind = allowed if after is None else allowed & _behind(keys, after)
    if keys.known is None:
        return _smallest(keys.keys, np.flatnonzero(behind), count)
    found = _smallest(keys.keys, np.flatnonzero(behind & keys.known), count)
    if len(found) == count:
        return found
    rest = np.flatnonzero(behind & ~keys.known)[: count - len(found)]
    return np.concatenate([found, rest])


def _behind(keys: SortKeys, row_id: int) -> NDArray[np.bool_]:
    ids = np.arange(len(keys.keys))
    if keys.known is not None and not keys.known[row_id]:
        return ~keys.known & (ids > row_id)
    key = keys.keys[row_id]
    behind: NDArray[np.bool_] = (keys.keys > key) | ((keys.keys == key) & (ids > row_id))
    return behind if keys.known is None else behind | ~keys.known


def _smallest(keys: NDArray[Any], ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the ids of the `count` smallest keys; equal keys by id. `ids` ascend."""
    some = keys[ids]
    if len(ids) > count:
        bound = np.partition(some, count - 1)[count - 1]
        near = np.flatnonzero(some < bound)
        equal = np.flatnonzero(some == bound)[: count - len(near)]
        chosen = np.sort(np.concatenate([near, equal]))
        ids, some = ids[chosen], some[chosen]
    return ids[np.argsort(some, kind="stable")]


def _check_column(store: Store, column: str) -> None:
    names = store.schema.names
    if column not in names:
        near = difflib.get_close_matches(column, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidArgument(
            f"there is no column {column!r} to sort by; the columns are id, {', '.join(names)}{hint}",
            field="sort",
        )
    kind = store.schema.field(column).type
    if not _has_order(kind):
        raise InvalidArgument(
            f"the column {column} cannot be sorted by: its values are {kind}; "
            "sort by numbers, times, booleans or texts",
            field="sort",
        )


def _has_order(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_time = pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind)
    return bool(is_number or is_time or pa.types.is_boolean(kind) or _is_text(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _keys_of(store: Store, column: str) -> SortKeys:
    kind = store.schema.field(column).type
    batches = (table[column] for _, table in store.tables([column]))
    if _is_text(kind):
        return _text_keys(column, batches)
    keys, known = [np.empty(0, _key_type(kind))], [np.empty(0, np.bool_)]
    for batch in batches:
        is_known = batch.is_valid().to_numpy()
        values = _numbers(batch)
        if values.dtype.kind == "f":
            is_known &= ~np.isnan(values)
        keys.append(values)
        known.append(is_known)
    return _joined(keys, known)


def _numbers(batch: pa.ChunkedArray) -> NDArray[Any]:
    """Return a batch as numbers in its order, with 0 for null."""
    kind = batch.type
    if pa.types.is_boolean(kind):
        batch = batch.cast(pa.uint8())
    elif pa.types.is_temporal(kind):
        batch = batch.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    filled = batch.fill_null(pa.scalar(0, batch.type))
    return np.asarray(filled.to_numpy())


def _key_type(kind: pa.DataType) -> Any:  # noqa: ANN401 - a dtype
    return _numbers(pa.chunked_array([pa.array([], kind)])).dtype


def _text_keys(column: str, batches: Any) -> SortKeys:  # noqa: ANN401 - an iterable
    """Return the rank of each text among the distinct texts, by code points."""
    numbers: dict[str, int] = {}
    codes, known = [np.empty(0, np.int64)], [np.empty(0, np.bool_)]
    for batch in batches:
        for chunk in batch.chunks:
            encoded = chunk.dictionary_encode()
            own = [
                numbers.setdefault(text, len(numbers)) for text in encoded.dictionary.to_pylist()
            ]
            if len(numbers) > MAX_TEXTS:
                raise InvalidArgument(
                    f"the column {column} cannot be sorted by: it has more than {MAX_TEXTS:,} "
                    "different texts; sort by another column",
                    field="sort",
                )
            known.append(np.asarray(pc.is_valid(chunk).to_numpy(zero_copy_only=False)))
            places = encoded.indices.fill_null(0).to_numpy()
            codes.append(np.array([*own, 0], np.int64)[places])
    rank = np.empty(len(numbers) + 1, np.int32)
    rank[np.array([numbers[text] for text in sorted(numbers)], np.int64)] = np.arange(len(numbers))
    return _joined([rank[each] for each in codes], known)


def _joined(keys: list[NDArray[Any]], known: list[NDArray[np.bool_]]) -> SortKeys:
    is_known = np.concatenate(known)
    return SortKeys(np.concatenate(keys), None if is_known.all() else is_known)
