"""Columns of other people's files in ClickHouse: any name, any type, and nothing that leaves its quotes."""

import datetime
import decimal
import json

import pyarrow as pa
import pytest

import pairdex
from pairdex.clickhouse.columns import quoted
from pairdex.clickhouse.connection import Place
from pairdex.clickhouse.load import load_collection
from pairdex.errors import InvalidArgument

ROWS = 20
NAMES = [
    "a`b",
    "c\\",
    "\\",
    "`",
    "``",
    "`x) FORMAT Null; DROP TABLE victim; --`",
    '"quoted"',
    "x` Int8, `y",
    "x`) ENGINE = Memory; DROP TABLE victim; --",
    "it's",
    "a.b",
    "{x:Int8}",
    "%(x)s",
    "new\nline",
    "nul\0",
    "漢字 🚗",
    "select",
    " ",
    "x\\` Int8, `z",
]
NOON = datetime.datetime(2024, 5, 6, 12, 0, 0, 7)
VALUES = {
    "face_bboxes": (pa.array([[[0.1, 0.2]], None] * 10), "[[0.1, 0.2]]"),
    "error_message": (pa.nulls(ROWS), None),
    "status": (pa.array([b"success", None] * 10, pa.binary()), "success"),
    "large_bytes": (pa.array([b"a", None] * 10, pa.large_binary()), "a"),
    "fixed_bytes": (pa.array([b"ab", None] * 10, pa.binary(2)), "ab"),
    "large_text": (pa.array(["x", None] * 10, pa.large_string()), "x"),
    "view": (pa.array(["x", None] * 10, pa.string_view()), "x"),
    "label": (pa.array(["cat", None] * 10).dictionary_encode(), "cat"),
    "exif": (pa.array([{"a": 1, "b": "ü"}, None] * 10), '{"a": 1, "b": "ü"}'),
    "tags": (pa.array([["a", "b"], None] * 10), '["a", "b"]'),
    "empty": (pa.array([[], None] * 10, pa.list_(pa.int8())), "[]"),
    "taken": (pa.array([NOON, None] * 10, pa.timestamp("us")), "2024-05-06 12:00:00.000007"),
    "day": (pa.array([NOON.date(), None] * 10), "2024-05-06"),
    "price": (pa.array([decimal.Decimal("1.50"), None] * 10), "1.50"),
    "far": (pa.array([2**62, None] * 10, pa.timestamp("ms")), None),
    "half": (pa.array([0.5, None] * 10, pa.float16()), 0.5),
    "flag": (pa.array([True, None] * 10), True),
    "big": (pa.array([2**64 - 1, None] * 10, pa.uint64()), 2**64 - 1),
}


@pytest.fixture
def make(make_parts, build, tmp_path):
    """A function that builds a collection of 20 rows with further columns."""

    def made(columns):
        given = {"url": [f"http://e.org/{i}" for i in range(ROWS)]} | columns
        build(make_parts(ROWS, columns=lambda *_: given), tmp_path / "odd", nsfw="none")
        return tmp_path / "odd"

    return made


def test_columns_of_any_name_are_loaded_and_none_leaves_its_quotes(
    make, clickhouse_url, clickhouse_query
):
    collection = make({name: list(range(ROWS)) for name in NAMES})
    place = Place(urls=(clickhouse_url,))
    load_collection(collection, place, table="victim")
    done = load_collection(collection, place, table="any_name", columns=("all",))
    assert done.inserted == ROWS
    assert load_collection(collection, place, table="any_name", columns=("all",)).inserted == 0
    found = clickhouse_query(
        clickhouse_url,
        "SELECT name, type FROM system.columns WHERE table = 'any_name' AND database = currentDatabase()",
    )
    assert {name for name, _ in found} >= set(NAMES)
    assert not {"x", "y", "z"} & {name for name, _ in found}
    for name in NAMES:
        values = clickhouse_query(
            clickhouse_url, f"SELECT {quoted(name)} FROM any_name ORDER BY id"
        )
        assert [value for (value,) in values] == list(range(ROWS)), name
    assert clickhouse_query(clickhouse_url, "SELECT count() FROM victim") == [(ROWS,)]


def test_columns_of_every_type_are_loaded(make, clickhouse_url, clickhouse_query):
    collection = make({name: values for name, (values, _) in VALUES.items()})
    assert set(pairdex.open(collection).columns) >= set(VALUES)
    load_collection(collection, Place(urls=(clickhouse_url,)), table="any_type", columns=("all",))
    for name, (_, expected) in VALUES.items():
        rows = clickhouse_query(clickhouse_url, f"SELECT {quoted(name)} FROM any_type ORDER BY id")
        assert len(rows) == ROWS
        if name != "far":  # a time that Python does not know: some text
            assert rows[0] == (expected,), name
        assert rows[1] == (None,), name
    json.loads(clickhouse_query(clickhouse_url, "SELECT exif FROM any_type")[0][0])


def test_a_column_without_a_name_is_left_out_of_all_and_refused_by_name(make, clickhouse_url):
    collection = make({"": list(range(ROWS)), "width": list(range(ROWS))})
    place = Place(urls=(clickhouse_url,))
    assert load_collection(collection, place, table="no_name", columns=("all",)).inserted == ROWS
    with pytest.raises(InvalidArgument, match="called '', a name that ClickHouse cannot have"):
        load_collection(collection, place, table="no_name_2", columns=("",))
