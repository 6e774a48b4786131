"""Read single cells of memory-mapped Arrow batches from their buffers, as plain Python values.

The rows of a search result are scattered over many batches. Taking and converting them with Arrow
takes milliseconds; reading their cells natively takes about a microsecond a row. Every access is checked
against the bounds of its buffer, so damaged offsets never read other memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex._native import Cells
from pairdex.files import json_values

__all__ = ["Cells", "cells_of"]

_Bytes = NDArray[np.uint8]
_Otherwise = Callable[[int], Any]
"""Returns a column's JSON value of a row."""

_Stored = tuple[str, _Bytes | None, _Bytes, _Bytes, _Otherwise]
"""A column: its format, validity bits if it has nulls, values or offsets, the bytes of its texts."""

_FORMATS = {
    pa.int8(): "b",
    pa.int16(): "h",
    pa.int32(): "i",
    pa.int64(): "q",
    pa.uint8(): "B",
    pa.uint16(): "H",
    pa.uint32(): "I",
    pa.uint64(): "Q",
    pa.float32(): "f",
    pa.float64(): "d",
    pa.bool_(): "?",
    pa.string(): "s",
    pa.large_string(): "S",
    pa.date32(): "D",
}
_DECIMALS = {"s": "0", "ms": "3", "us": "6", "ns": "9"}


def cells_of(columns: Iterable[pa.Array]) -> Cells:
    """Return what reads rows of columns: `cells.row(5)` is a list of JSON values, as `json_values` converts them.

    Reading raises ValueError (or its subclass UnicodeDecodeError) or IndexError if a column is damaged.
    """
    return Cells([_column(column) for column in columns])


def _column(column: pa.Array) -> _Stored | _Otherwise:
    form, otherwise = _format(column.type), _any_cell(column)
    if form is None or column.offset or len(column) == 0:
        return otherwise
    validity, values, *content = column.buffers()
    is_valid = None if validity is None else _bytes(validity)
    return form, is_valid, _bytes(values), _bytes(*content), otherwise


def _format(kind: pa.DataType) -> str | None:
    """Return the format of a column's type, as native/cells_bindings.cpp knows it; None for other types."""
    if pa.types.is_timestamp(kind):
        return _DECIMALS[kind.unit] + ("" if kind.tz is None else "Z")
    return "q" if pa.types.is_duration(kind) else _FORMATS.get(kind)


def _any_cell(column: pa.Array) -> _Otherwise:
    """Return the slow reader, for lists and all other types, and for times that Python cannot write."""

    def cell(row: int) -> Any:  # noqa: ANN401 - JSON
        one = column.slice(row, 1)
        one.validate(full=True)
        return json_values.rows(pa.table({"value": one}))[0]["value"]

    return cell


def _bytes(buffer: pa.Buffer | None = None) -> _Bytes:
    if buffer is None or not buffer.size:
        return np.empty(0, np.uint8)
    return np.frombuffer(buffer, np.uint8)
