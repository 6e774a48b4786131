"""The rows of a statement: all, the first ones, or in a file."""

import io

import pyarrow.csv as pc
import pytest

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument
from pairdex.metadata_sql.results import select_rows, write_selected


@pytest.fixture
def opened(collection):
    return Collection.open(collection)


def test_all_rows_or_the_first_ones_are_read(opened):
    sql = "SELECT id FROM pairs ORDER BY id"
    assert select_rows(opened, sql)["id"].to_pylist() == list(range(60))
    assert select_rows(opened, sql, limit=7)["id"].to_pylist() == list(range(7))


def test_a_limit_does_not_compute_the_rest(opened):
    endless = "SELECT range FROM range(1000000000000)"
    assert len(select_rows(opened, endless, limit=3)) == 3


def test_a_statement_without_rows_gives_an_empty_table_with_its_columns(opened):
    found = select_rows(opened, "SELECT id, caption FROM pairs WHERE id < 0")
    assert (len(found), found.column_names) == (0, ["id", "caption"])


def test_rows_are_written_to_a_file_or_an_open_one(opened, tmp_path):
    sql, out, file = "SELECT id FROM pairs WHERE id < 3", tmp_path / "r.csv", io.BytesIO()
    assert write_selected(opened, sql, out, "csv") == 3
    assert write_selected(opened, sql, file, "csv") == 3
    assert out.read_bytes() == file.getvalue()
    assert pc.read_csv(out)["id"].to_pylist() == [0, 1, 2]


def test_a_statement_that_fails_writes_no_file(opened, tmp_path):
    with pytest.raises(InvalidArgument):
        write_selected(opened, "SELECT nosuch FROM pairs", tmp_path / "r.csv", "csv")
    assert list(tmp_path.glob("*r.csv*")) == []


def test_bytes_and_intervals_are_text_in_csv(opened, tmp_path):
    sql = "SELECT '\\xFF\\x00'::BLOB AS bytes, INTERVAL 2 DAY AS span, NULL::BLOB AS nothing"
    write_selected(opened, sql, tmp_path / "rows.csv", kind="csv")
    head, row = (tmp_path / "rows.csv").read_text().splitlines()
    assert head == '"bytes","span","nothing"'
    assert row == '"/wA=","[0, 2, 0]",'
