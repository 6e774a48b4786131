"""Convert a release's values to the type of a collection's column; a bad value becomes null.

NaN is a missing value, as pandas, polars and Spark write it. Values that cannot be converted become
null and are counted: a width of `wide`, a date in the year 30,000. Text that is not UTF-8 is
counted too, but keeps its valid characters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["converted", "first_of_lists"]

# Lower-case texts that mean a missing number in tables converted from CSV.
_MISSING = pa.array(["", "none", "null", "nan", "na", "n/a", "<na>", "-", "?"])
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DAY_SECONDS = 86_400
_FIRST_DAY, _LAST_DAY = (
    -719_162,
    2_932_896,
)  # 0001-01-01 and 9999-12-31: the range of SQL and Python
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def converted(values: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.ChunkedArray, int]:
    """Convert values to a column of type `kind`; return it and the number of failures.

    Raises
    ------
    pa.ArrowException
        The values are damaged, or their type cannot be converted to this one.
    """
    chunks = [_converted(chunk, kind) for chunk in values.chunks]
    return pa.chunked_array([chunk for chunk, _ in chunks], kind), sum(bad for _, bad in chunks)


def first_of_lists(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the first non-null value of each list; null if there is none."""
    return pa.chunked_array([_first(chunk) for chunk in values.chunks], values.type.value_type)


def _first(lists: pa.Array) -> pa.Array:
    items, rows = pc.list_flatten(lists), np.asarray(pc.list_parent_indices(lists), np.int64)
    present = np.flatnonzero(np.asarray(items.is_valid(), np.bool_))
    owners, places = np.unique(rows[present], return_index=True)
    chosen = np.full(len(lists), -1, np.int64)
    chosen[owners] = present[places]
    return items.take(pa.array(chosen, mask=chosen < 0))


def _converted(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    values = _without_nan(_plain(values))
    bad = 0
    if pa.types.is_string(kind) and _holds_texts(values.type):
        values, bad = _texts(values)
    elif _holds_texts(values.type) and not _holds_texts(kind):
        texts, bad = _texts(values)
        values, more = _numbers(texts, kind)
        bad += more
    values, more = _cast(values, kind)
    values, late = _within_time(values)
    values = _without_nan(values)
    values.validate(full=True)
    return values, bad + more + late


def _plain(values: pa.Array) -> pa.Array:
    """Decode Arrow's storage forms: dictionaries, run-end encoding, extensions."""
    if isinstance(values, pa.ExtensionArray):
        is_bool = values.type == pa.bool8()
        return _plain(values.storage.cast(pa.bool_()) if is_bool else values.storage)
    if pa.types.is_dictionary(values.type):
        values.validate(full=True)
        return _plain(values.dictionary_decode())
    if pa.types.is_run_end_encoded(values.type):
        return _plain(pc.run_end_decode(values))
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else values


def _without_nan(values: pa.Array) -> pa.Array:
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _holds_texts(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    is_view = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)
    return bool(is_text or is_bytes or is_view)


def _texts(values: pa.Array) -> tuple[pa.Array, int]:
    """Return texts or bytes as texts; replace and count invalid UTF-8."""
    content = values.cast(pa.binary())
    content.validate(full=True)
    try:
        texts = content.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return _mended(content)
    return texts, 0


def _mended(content: pa.Array) -> tuple[pa.Array, int]:
    texts, bad = [], 0
    for value in content.to_pylist():
        text = None if value is None else value.decode("utf-8", errors="replace")
        bad += text is not None and text.encode() != value
        texts.append(text)
    return pa.array(texts, pa.string()), bad


def _numbers(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    """Return texts of numbers in a form that casts to `kind`; other texts become null."""
    trimmed = pc.utf8_trim_whitespace(texts)
    is_missing = pc.is_in(pc.utf8_lower(trimmed), value_set=_MISSING)
    trimmed = pc.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)
    if not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        return trimmed, 0
    is_number = pc.match_substring_regex(trimmed, _NUMBER)
    bad = int(pc.sum(pc.invert(is_number)).as_py() or 0)
    numbers = pc.if_else(is_number, trimmed, pa.scalar(None, pa.string()))
    is_whole = pc.match_substring_regex(numbers, r"^[+-]?[0-9]{1,18}$")
    if pa.types.is_integer(kind) and pc.all(is_whole).as_py() is not False:
        return pc.ascii_ltrim(numbers, "+").cast(pa.int64()), bad
    return pc.ascii_ltrim(numbers, "+").cast(pa.float64()), bad


def _cast(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    """Cast; on failure, cast what is possible and count the rest."""
    if values.type.equals(kind):
        return values, 0
    if pa.types.is_integer(values.type) and pa.types.is_floating(kind):
        return values.cast(kind, safe=False), 0
    if pa.types.is_timestamp(values.type) and pa.types.is_timestamp(kind):
        return _piecewise(values, lambda piece: _to_unit(piece, kind), kind)
    if pa.types.is_nested(values.type):
        return _cast_nested(values, kind), 0
    return _piecewise(values, lambda piece: piece.cast(kind), kind)


def _to_unit(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast times; truncate to the coarser unit, raise on overflow."""
    coarser = _PER_SECOND[kind.unit] < _PER_SECOND[values.type.unit]
    return values.cast(options=pc.CastOptions(kind, allow_time_truncate=coarser))


def _cast_nested(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if "view" not in str(values.type):  # Arrow casts list views with nulls incorrectly
        try:
            return values.cast(kind)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
            if not pa.types.is_nested(kind):
                raise
    values.validate(full=True)
    return pa.array(values.to_pylist(), kind)


def _piecewise(
    values: pa.Array, cast: Callable[[pa.Array], pa.Array], kind: pa.DataType
) -> tuple[pa.Array, int]:
    """Cast by recursive halving, to find the values that cannot be cast."""
    try:
        return cast(values), 0
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, kind), 1
    middle = len(values) // 2
    left, lost = _piecewise(values.slice(0, middle), cast, kind)
    right, more = _piecewise(values.slice(middle), cast, kind)
    return pa.concat_arrays([left, right]), lost + more


def _within_time(values: pa.Array) -> tuple[pa.Array, int]:
    """Set times outside the years 1 to 9999 to null: neither SQL nor Python can show them."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        per_day, numbers = _DAY_SECONDS * _PER_SECOND[kind.unit], values.view(pa.int64())
    elif pa.types.is_date32(kind):
        per_day, numbers = 1, values.view(pa.int32())
    elif pa.types.is_date64(kind):
        per_day, numbers = _DAY_SECONDS * 1000, values.view(pa.int64())
    else:
        return values, 0
    least, most = _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1
    if abs(least) >= 2**63:  # nanoseconds are always in range
        return values, 0
    inside = pc.and_(pc.greater_equal(numbers, least), pc.less_equal(numbers, most))
    bad = int(pc.sum(pc.invert(inside)).as_py() or 0)
    return (pc.if_else(inside, values, pa.scalar(None, kind)) if bad else values), bad
