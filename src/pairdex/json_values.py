"""Arrow rows as plain values that JSON can carry."""

from __future__ import annotations

import base64
import math
from typing import Any

import pyarrow as pa

__all__ = ["plain", "rows"]


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries of JSON values."""
    return [plain(row) for row in table.to_pylist()]


def plain(value: Any) -> Any:  # noqa: ANN401 - any Arrow value
    """Return a value as JSON can carry it.

    Bytes become base64, numbers that are not finite null; times, decimals and the like their text.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
