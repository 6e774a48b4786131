"""Metadata columns in ClickHouse: their names in statements, their types, their values.

Column names come from untrusted files. Statements contain them only as `quoted` returns them.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pairdex.files import json_values

__all__ = ["clickhouse_type", "is_name", "quoted", "sent"]

_TEXT = "String"


def quoted(name: str) -> str:
    """Quote a name as a ClickHouse identifier; any character is allowed."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`").replace("\0", "\\0")
    return f"`{escaped}`"


def is_name(name: str) -> bool:
    """Whether ClickHouse accepts this column name: any non-empty text."""
    return bool(name) and not any("\ud800" <= character <= "\udfff" for character in name)


def clickhouse_type(kind: pa.DataType) -> str:
    """Return the type of a metadata column; NULL stays NULL.

    Numbers and booleans keep their type. Bytes become strings. Times and decimals become text.
    Nested values become JSON text.
    """
    return f"Nullable({_inner_type(kind)})"


def sent(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert the values of a column to the type that is sent to ClickHouse."""
    kind = column.type
    if _inner_type(kind) != _TEXT or pa.types.is_string(kind) or pa.types.is_binary(kind):
        return column
    if pa.types.is_dictionary(kind):
        return sent(pc.cast(column, kind.value_type))
    if _is_bytes(kind):
        return column.cast(pa.binary())
    if _is_nested(kind):
        return pa.chunked_array([_as_json(column)], pa.string())
    if pa.types.is_null(kind) or not pa.types.is_temporal(kind):
        return column.cast(pa.string())
    table = pa.table({"value": column})
    return pa.chunked_array([[row["value"] for row in json_values.rows(table)]]).cast(pa.string())


def _inner_type(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _inner_type(kind.value_type)
    if pa.types.is_boolean(kind):
        return "Bool"
    if pa.types.is_integer(kind):
        return ("Int" if pa.types.is_signed_integer(kind) else "UInt") + str(kind.bit_width)
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        return "Float32"
    return "Float64" if pa.types.is_float64(kind) else _TEXT


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType))


def _as_json(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([_json(value) for value in column.to_pylist()], pa.string())


def _json(value: Any) -> str | None:  # noqa: ANN401 - any Arrow value
    return None if value is None else json.dumps(json_values.plain(value), ensure_ascii=False)
