"""Types of metadata columns: the stored form of a type, and the common type of two.

SQL filters cannot read every Arrow type (DuckDB has no half floats and no decimals of more than 38
digits), so each is stored as the nearest type that DuckDB reads.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = ["stored_type", "unified_type"]

_DECIMAL_DIGITS = 38  # DuckDB's maximum
_UINT64_DIGITS = 20
_UNITS = ["us", "ms", "s", "ns"]  # the earlier of two units holds both: ns covers only 1677 to 2262
_NEAREST = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.float16(): pa.float32(),
    pa.duration("s"): pa.duration("us"),
    pa.duration("ms"): pa.duration("us"),
}


def stored_type(kind: pa.DataType) -> pa.DataType:
    """Return the stored type for `kind`: itself, or the nearest type that SQL reads."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.bool_() if kind == pa.bool8() else stored_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return stored_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return _decimal(kind.precision, kind.scale)
    if pa.types.is_nested(kind):
        return _stored_nested(kind)
    return _NEAREST.get(kind, kind)


def unified_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the common type of two stored types.

    The fallback is text: 7 and `seven` become texts.

    Raises
    ------
    TypeError
        One type is nested, and the other is of another kind.
    """
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_nested(one) or pa.types.is_nested(other):
        return _unified_nested(one, other)
    if _is_number(one) and _is_number(other):
        return _unified_numbers(one, other)
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        return pa.timestamp(min(one.unit, other.unit, key=_UNITS.index), one.tz)
    return pa.binary() if _is_bytes(one) and _is_bytes(other) else pa.string()


def _decimal(precision: int, scale: int) -> pa.DataType:
    """Return the decimal type with these digits; float64 if SQL cannot read that many."""
    if scale < 0:
        precision, scale = precision - scale, 0
    return pa.decimal128(precision, scale) if precision <= _DECIMAL_DIGITS else pa.float64()


def _stored_nested(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(stored_type(kind.value_type), kind.list_size)
    if _is_list(kind):
        return pa.list_(stored_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, stored_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(stored_type(kind.key_type), stored_type(kind.item_type))
    return kind


def _unified_numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(one) or pa.types.is_floating(other):
        return pa.float64()
    if pa.types.is_decimal(one) or pa.types.is_decimal(other):
        a, b = _as_decimal(one), _as_decimal(other)
        scale = max(a.scale, b.scale)
        return _decimal(max(a.precision - a.scale, b.precision - b.scale) + scale, scale)
    if pa.types.is_signed_integer(one) == pa.types.is_signed_integer(other):
        return one if one.bit_width >= other.bit_width else other
    signed, unsigned = (one, other) if pa.types.is_signed_integer(one) else (other, one)
    if unsigned.bit_width < signed.bit_width:
        return signed
    wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}
    return wider.get(unsigned.bit_width, pa.decimal128(_UINT64_DIGITS, 0))


def _as_decimal(kind: pa.DataType) -> pa.DataType:
    return kind if pa.types.is_decimal(kind) else pa.decimal128(_UINT64_DIGITS, 0)


def _unified_nested(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if _is_list(one) and _is_list(other):
        return pa.list_(unified_type(one.value_type, other.value_type))
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _unified_structs(one, other)
    raise TypeError(f"{one} and {other}")


def _unified_structs(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    fields = {field.name: field.type for field in one}
    for field in other:
        known = fields.get(field.name)
        fields[field.name] = field.type if known is None else unified_type(known, field.type)
    return pa.struct(list(fields.items()))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    is_view = pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind)
    is_plain = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_plain or is_view or pa.types.is_fixed_size_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind))
