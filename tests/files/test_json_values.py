"""Arrow rows as JSON: whatever a release's columns hold becomes something JSON can carry."""

import datetime
import decimal
import json

import numpy as np
import pyarrow as pa
import pytest

from pairdex.files import json_values

DAY_NS = 86_400_000_000_000


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([1, None, -(2**63)]), [1, None, -(2**63)]),
        (pa.array([0.5, float("nan"), float("inf"), None]), [0.5, None, None, None]),
        (pa.array(np.array([0.5, np.nan], np.float16)), [0.5, None]),
        (pa.array([True, None]), [True, None]),
        (pa.array(["ä\x1b[31m", ""]), ["ä\x1b[31m", ""]),
        (pa.array([b"\x00\xff", None]), ["AP8=", None]),
        (pa.array([b"0123456789abcdef"], pa.binary(16)), ["MDEyMzQ1Njc4OWFiY2RlZg=="]),
        (pa.array([decimal.Decimal("1.50")]), ["1.50"]),
        (pa.array([[1, None], [], None]), [[1, None], [], None]),
        (pa.array([{"a": float("nan"), "b": [b"x"]}]), [{"a": None, "b": ["eA=="]}]),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), [[["a", 1]]]),
        (pa.array(["a"]).dictionary_encode(), ["a"]),
        (pa.nulls(2), [None, None]),
        (pa.array([datetime.date(2020, 2, 29), None]), ["2020-02-29", None]),
        (pa.array([0, None], pa.timestamp("s")), ["1970-01-01 00:00:00", None]),
        (pa.array([DAY_NS + 1], pa.timestamp("ns")), ["1970-01-02 00:00:00.000000001"]),
        (pa.array([0], pa.timestamp("ms", "Asia/Tokyo")), ["1970-01-01 00:00:00.000Z"]),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([1001], pa.duration("ns")), [1001]),
    ],
)
def test_values_of_every_type_become_json(array, expected):
    rows = json_values.rows(pa.table({"column": array}))
    assert [row["column"] for row in rows] == expected
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_times_beyond_pythons_calendar_are_no_error():
    far = pa.array([2**62], pa.timestamp("s"))
    (row,) = json_values.rows(pa.table({"far": far}))
    assert isinstance(row["far"], str)


def test_no_rows_give_no_rows():
    assert json_values.rows(pa.table({"a": pa.array([], pa.timestamp("ns", "UTC"))})) == []


def test_rows_of_several_chunks_stay_in_order():
    table = pa.table(
        {"n": pa.chunked_array([[1, 2], [], [3]]), "t": pa.chunked_array([["a"], ["b", "c"]])}
    )
    assert json_values.rows(table) == [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}, {"n": 3, "t": "c"}]
