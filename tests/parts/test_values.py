"""Values of every Arrow type become values that SQL reads; one bad value costs itself."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from pairdex.files import json_values
from pairdex.parts.types import stored_type, unified_type
from pairdex.parts.values import converted
from pairdex.predicate import Predicate

LEAST, MOST = -(2**63), 2**63 - 1


def stored(values):
    return converted(pa.chunked_array([values]), stored_type(values.type))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1.5, None], pa.float16()), [1.5, None]),
        (pa.array([[1.5], None], pa.list_(pa.float16())), [[1.5], None]),
        (pa.array([{"a": 1.5}, None], pa.struct([("a", pa.float16())])), [{"a": 1.5}, None]),
        (pa.array([Decimal("1.5"), None], pa.decimal256(60, 1)), [1.5, None]),
        (pa.array([Decimal("1E+3"), None], pa.decimal128(5, -2)), [Decimal(1000), None]),
        (pa.array([Decimal("1.1"), None], pa.decimal32(5, 1)), [Decimal("1.1"), None]),
        (pa.array([b"a", None], pa.binary_view()), [b"a", None]),
        (pa.array([b"a", None], pa.large_binary()), [b"a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.array([1.5, None], pa.float16()).dictionary_encode(), [1.5, None]),
        (pa.RunEndEncodedArray.from_arrays([1, 2], pa.array(["a", "b"])), ["a", "b"]),
        (pa.array([[1], None], pa.large_list(pa.int64())), [[1], None]),
        (pa.array([[1], None], pa.list_view(pa.int64())), [[1], None]),
        (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
        (
            pa.ListArray.from_arrays([0, 1, 2], pa.array(["a", "b"]).dictionary_encode()),
            [["a"], ["b"]],
        ),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [[("a", 1)], None]),
        (pa.array(["{}", None], pa.json_()), ["{}", None]),
        (pa.array([b"0" * 16, None], pa.uuid()), [b"0" * 16, None]),
        (pa.array([True, None]), [True, None]),
        (pa.nulls(2), [None, None]),
        (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")) or None,
)
def test_every_type_is_stored_as_one_that_sql_and_json_read(values, expected):
    column, bad = stored(values)
    assert (column.to_pylist(), bad) == (expected, 0)
    table = pa.table({"x": column, "n": [1, 2]})
    np.testing.assert_array_equal(Predicate("n = 2").mask(table), [False, True])
    mask = Predicate("x IS NOT NULL").mask(table)
    np.testing.assert_array_equal(mask, [value is not None for value in expected])
    assert len(json_values.rows(table)) == 2


@pytest.mark.parametrize(
    ("kind", "values", "lost"),
    [
        (pa.timestamp("s"), [LEAST, 0, MOST, None], 2),
        (pa.timestamp("ms", "UTC"), [LEAST, 0, MOST, None], 2),
        (pa.timestamp("us"), [LEAST, 0, MOST, None], 2),
        (pa.timestamp("ns"), [0, 1, 2, None], 0),
        (pa.date32(), [-(2**31), 0, 2**31 - 1, None], 2),
        (pa.duration("s"), [2**62, 0, -(2**62), None], 2),
    ],
)
def test_times_out_of_range_are_null_and_counted(kind, values, lost):
    column, bad = stored(pa.array(values, kind))
    assert (bad, column.null_count) == (lost, lost + 1)
    table = pa.table({"x": column})
    assert Predicate("x IS NOT NULL").mask(table).sum() == 3 - lost
    assert len(json_values.rows(table)) == 4


def test_the_first_and_the_last_day_that_can_be_shown_are_kept():
    days = pa.array([-719_163, -719_162, 2_932_896, 2_932_897], pa.date32())
    column, bad = stored(days)
    assert [str(day) for day in column.to_pylist()] == ["None", "0001-01-01", "9999-12-31", "None"]
    assert bad == 2


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_nan_in_any_column_of_floats_is_missing(kind):
    column, bad = stored(pa.array(np.array([0.5, np.nan, np.inf]), pa.float64()).cast(kind))
    assert (column.to_pylist(), bad) == ([0.5, None, np.inf], 0)


@pytest.mark.parametrize(
    ("text", "number", "is_bad"),
    [
        ("640", 640, False),
        (" 640 ", 640, False),
        ("640.0", 640, False),
        ("+7", 7, False),
        ("-1e3", -1000, False),
        ("", None, False),
        ("None", None, False),
        ("NaN", None, False),
        ("n/a", None, False),
        ("640px", None, True),
        ("0x10", None, True),
        ("99999999999999999999", None, True),
        ("6.5", None, True),
    ],
)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_texts_of_numbers_are_numbers(text, number, is_bad, kind):
    column, bad = converted(pa.chunked_array([pa.array([text, "1"], kind)]), pa.int32())
    assert (column.to_pylist(), bad) == ([number, 1], int(is_bad))


def test_one_bad_value_among_many_is_found():
    values = pa.array([*range(5000), 2**40, *range(5000)])
    column, bad = converted(pa.chunked_array([values]), pa.int32())
    assert (bad, column.null_count, column[5000].as_py()) == (1, 1, None)
    assert column.drop_null().to_pylist() == [*range(5000), *range(5000)]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8())),
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.int64(), pa.uint64(), pa.decimal128(20, 0)),
        (pa.int8(), pa.uint32(), pa.int64()),
        (pa.int64(), pa.uint8(), pa.int64()),
        (pa.int64(), pa.float32(), pa.float64()),
        (pa.decimal128(5, 2), pa.int32(), pa.decimal128(22, 2)),
        (pa.decimal128(5, 2), pa.float32(), pa.float64()),
        (pa.decimal128(38, 0), pa.decimal128(38, 30), pa.float64()),
        (pa.bool_(), pa.int8(), pa.string()),
        (pa.string(), pa.timestamp("us"), pa.string()),
        (pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("ms")),
        (pa.timestamp("s"), pa.timestamp("s", "UTC"), pa.string()),
        (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string())),
        (
            pa.struct([("a", pa.null())]),
            pa.struct([("a", pa.int8()), ("b", pa.string())]),
            pa.struct([("a", pa.int8()), ("b", pa.string())]),
        ),
        (pa.binary(2), pa.binary(3), pa.binary()),
    ],
    ids=str,
)
def test_the_type_of_two_types_is_the_same_either_way(one, other, both):
    assert unified_type(one, other).equals(both)
    assert unified_type(other, one).equals(both)


def test_a_list_and_a_number_have_no_type_in_common():
    with pytest.raises(TypeError, match=r"list.* and int8"):
        unified_type(pa.list_(pa.int8()), pa.int8())
