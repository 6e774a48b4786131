"""Cells read from Arrow's buffers: the same values as Arrow's, and never memory of another row."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from pairdex.errors import DamagedFile
from pairdex.files import json_values
from pairdex.store.cells import Cells, cells_of
from pairdex.store.metadata import BATCH_ROWS, MetadataFile, writing_metadata
from pairdex.store.store import Store

COLUMNS = {
    "text": pa.array(["a", None, "", "ä" * 300, "z"]),
    "no_nulls": pa.array(["a", "b", "c", "d", "e"]),
    "all_null": pa.array([None] * 5, pa.string()),
    "large": pa.array(["a", None, "", "ä", "z"], pa.large_string()),
    "small": pa.array([-1, None, 127, -128, 0], pa.int8()),
    "unsigned": pa.array([0, 2**64 - 1, None, 1, 2], pa.uint64()),
    "long": pa.array([-(2**63), 2**63 - 1, 0, 1, 2]),
    "single": pa.array([0.1, float("nan"), float("inf"), None, -0.0], pa.float32()),
    "double": pa.array([0.1, float("nan"), float("-inf"), None, 1e300]),
    "flag": pa.array([True, False, None, True, False]),
    "half": pa.array(np.array([0.5, 1, 2, 3, 4], np.float16)),
    "duration": pa.array([1, None, -(2**62), 3, 4], pa.duration("ms")),
    "long_ago": pa.array([-719529, -719528, 2932896, 2932897, None], pa.date32()),
    "clock": pa.array([1, None, 2, 3, 4], pa.time32("s")),
    "time": pa.array([1, None, 2, 3, 4], pa.timestamp("s")),
    "zoned": pa.array([1, None, 2, 3, 4], pa.timestamp("ms", tz="Europe/Berlin")),
    "day": pa.array([datetime.date(2020, 1, 1)] * 5),
    "bytes": pa.array([b"\xff", None, b"", b"a", b"b"]),
    "list": pa.array([["a"], None, [], ["b", None], ["c"]]),
    "struct": pa.array([{"a": 1}, None, {"a": None}, {"a": 2}, {"a": 3}]),
    "words": pa.array(["a", None, "b", "a", "b"]).dictionary_encode(),
    "decimal": pa.array([decimal.Decimal("1.50"), None, None, None, None]),
    "nothing": pa.nulls(5),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_cell_has_the_value_that_the_slow_reader_returns(name):
    column = COLUMNS[name]
    cells = cells_of([column])
    expected = [row["x"] for row in json_values.rows(pa.table({"x": column}))]
    assert [cells.row(row) for row in range(5)] == [[value] for value in expected]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_have_the_text_that_the_slow_reader_returns(unit, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    rng = np.random.default_rng(3)
    seconds = np.concatenate([rng.integers(-(10**e), 10**e, 200) for e in (3, 6, 9, 11, 13)])
    ends = [-62167219201, -62167219200, 253402300799, 253402300800, 951782400, 951868800, -1, 0]
    exact = [int(one) * per_second + int(rng.integers(per_second)) for one in (*seconds, *ends)]
    kept = [value for value in exact if abs(value) < 2**63]
    column = pa.array([*kept, 2**63 - 1, -(2**63)], pa.timestamp(unit, tz=zone))
    cells = cells_of([column])
    expected = [row["x"] for row in json_values.rows(pa.table({"x": column}))]
    assert [cells.row(row)[0] for row in range(len(column))] == expected


def test_days_have_the_text_that_the_slow_reader_returns():
    days = np.random.default_rng(4).integers(-800_000, 3_000_000, 2_000).astype(np.int32)
    column = pa.array(days, pa.date32())
    cells = cells_of([column])
    expected = [row["x"] for row in json_values.rows(pa.table({"x": column}))]
    assert [cells.row(row)[0] for row in range(len(column))] == expected


def test_a_slice_is_read_from_its_offset():
    cells = cells_of([pa.array(["a", "b", "c"])[1:]])
    assert [cells.row(0), cells.row(1)] == [["b"], ["c"]]


@pytest.mark.parametrize("offsets", [[0, 5, 3], [0, -2, 3], [0, 2**31 - 1, 3]])
def test_offsets_outside_the_buffer_are_refused(offsets):
    buffers = [None, pa.py_buffer(np.array(offsets, np.int32)), pa.py_buffer(b"abc")]
    cells = cells_of([pa.Array.from_buffers(pa.string(), 2, buffers)])
    with pytest.raises(ValueError, match="has text from"):
        [cells.row(0), cells.row(1)]


def test_bytes_that_are_not_utf8_are_refused():
    buffers = [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")]
    with pytest.raises(UnicodeDecodeError):
        cells_of([pa.Array.from_buffers(pa.string(), 1, buffers)]).row(0)


@pytest.mark.parametrize("column_format", [*"bhiqBHIQfd?sSD0369", "3Z"])
def test_rows_beyond_a_buffer_are_refused(column_format):
    empty, full = np.empty(0, np.uint8), np.full(4, 255, np.uint8)
    for validity, values in ((None, empty), (empty, full), (full, empty)):
        with pytest.raises(IndexError, match="out of bounds"):
            Cells([(column_format, validity, values, empty, str)]).row(0)


def test_unknown_formats_are_refused():
    nothing = np.empty(0, np.uint8)
    for form in ("x", "", "3z", "iZZ"):
        with pytest.raises(ValueError, match="bad format"):
            Cells([(form, None, nothing, nothing, str)])


def test_rows_of_every_batch_are_found(tmp_path):
    rows = BATCH_ROWS + 5
    table = pa.table({"n": pa.array(range(rows)), "t": [f"row {row}" for row in range(rows)]})
    with writing_metadata(tmp_path / "m.arrow", table.schema) as writer:
        writer.append(table)
    file = MetadataFile(tmp_path / "m.arrow", rows)
    asked = [BATCH_ROWS, 0, rows - 1, BATCH_ROWS - 1, 0]
    assert file.values(asked) == [[row, f"row {row}"] for row in asked]


def test_the_number_of_open_batches_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("pairdex.store.metadata._KEPT_BATCHES", 1)
    table = pa.table({"n": pa.array(range(3 * BATCH_ROWS))})
    with writing_metadata(tmp_path / "m.arrow", table.schema) as writer:
        writer.append(table)
    file = MetadataFile(tmp_path / "m.arrow", len(table))
    for row in (0, BATCH_ROWS, 2 * BATCH_ROWS, 0):
        assert file.values([row]) == [[row]]
        assert len(file._cells) == 1


def test_values_of_a_collection_equal_those_of_its_tables(make_parts, build, tmp_path):
    def columns(number, rows):
        return {"caption": [f"{number} {row}" for row in range(rows)], "width": list(range(rows))}

    build(make_parts(10, 7, 3, columns=columns), tmp_path / "c")
    store = Store(tmp_path / "c")
    ids = [19, 0, 9, 10, 16, 17, 0]
    assert store.values(ids) == json_values.rows(store.read(np.array(ids)))
    assert store.values([]) == []


def test_a_damaged_file_is_named(tmp_path):
    table = pa.table({"t": ["abc", "def"]})
    with writing_metadata(tmp_path / "m.arrow", table.schema) as writer:
        writer.append(table)
    data = bytearray((tmp_path / "m.arrow").read_bytes())
    data[data.index(b"abcdef")] = 0xFF
    (tmp_path / "m.arrow").write_bytes(data)
    with pytest.raises(DamagedFile, match=r"m\.arrow is damaged: 'utf-8' codec"):
        MetadataFile(tmp_path / "m.arrow", 2).values([0])
