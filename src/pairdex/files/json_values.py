"""Arrow rows as plain values that JSON can represent."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["plain", "rows"]


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries of JSON values; times become text, in UTC."""
    columns = [_readable(column) for column in table.columns]
    return [plain(row) for row in pa.table(columns, names=table.column_names).to_pylist()]


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as text: Arrow holds times that Python cannot."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        utc = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
        return pc.binary_join_element_wise(utc, "Z", "")
    if pa.types.is_duration(column.type):
        return column.cast(pa.int64())
    if pa.types.is_temporal(column.type) and not pa.types.is_interval(column.type):
        return column.cast(pa.string())
    return column


def plain(value: Any) -> Any:  # noqa: ANN401 - any Arrow value
    """Return a value in a form that JSON can represent.

    Bytes become base64, non-finite numbers null, decimals and similar types text.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
