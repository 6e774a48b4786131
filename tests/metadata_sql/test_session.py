"""SQL over a collection: right answers, nothing of removed rows, and no way out."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.errors import DamagedFile, InvalidArgument, InvalidPredicate, MissingFile
from pairdex.metadata_sql.session import selecting


@pytest.fixture
def asked(make_parts, tmp_path):
    """A collection of 300 rows in three parts, said to be of the demo model."""
    parts = make_parts(120, 30, 150, dim=64)
    pairdex.build(parts, tmp_path / "asked", nsfw="none", model="demo")
    return tmp_path / "asked"


def values(collection, statement, **options):
    return pairdex.sql(collection, statement, **options).to_pylist()


# --- what it answers ---


def test_pairs_has_the_id_and_every_column_of_every_row(asked):
    table = pairdex.sql(asked, "SELECT * FROM pairs ORDER BY id")
    collection = pairdex.open(asked)
    assert table.column_names == ["id", *collection.columns]
    assert table["id"].to_pylist() == list(range(300))
    assert table.drop_columns("id").to_pylist() == collection.take(np.arange(300)).to_pylist()


def test_a_table_that_is_named_twice_is_read_twice(asked):
    found = values(asked, "SELECT count(*) n FROM pairs a JOIN pairs b ON a.id = b.id + 1")
    assert found == [{"n": 299}]
    again = "WITH x AS (SELECT * FROM pairs) SELECT (SELECT count(*) FROM x) + (SELECT count(*) FROM x) n"
    assert values(asked, again) == [{"n": 600}]


def test_nearest_gives_what_a_search_gives(asked):
    collection = pairdex.open(asked)
    table = pairdex.sql(collection, "SELECT * FROM nearest('a red car', 20)")
    assert table.to_pylist() == collection.search(text="a red car", k=20).table.to_pylist()
    named = "SELECT * FROM nearest('a red car', k := 5, kind := 'text', filter := 'part = 1')"
    expected = collection.search(text="a red car", k=5, on="text", where="part = 1")
    assert values(collection, named) == list(expected)


def test_nearest_joins_with_pairs_and_takes_a_subquery(asked):
    found = values(
        asked,
        "SELECT p.id, n.distance FROM nearest((SELECT 'a red ' || 'car'), 3) n "
        "JOIN pairs p USING (id) ORDER BY n.distance",
    )
    expected = pairdex.open(asked).search(text="a red car", k=3)
    assert [row["id"] for row in found] == expected["id"].to_pylist()


def test_distance_is_the_distance_of_each_row_to_the_text(asked):
    collection = pairdex.open(asked)
    found = values(
        asked,
        "SELECT id, distance(id, 'a red car') a, distance(id, 'a blue boat', kind := 'text') b "
        "FROM pairs ORDER BY a",
    )
    expected = collection.search(text="a red car", k=300)
    assert [row["id"] for row in found] == expected["id"].to_pylist()
    np.testing.assert_allclose([r["a"] for r in found], expected["distance"], atol=1e-6)
    other = collection.search(text="a blue boat", k=300, on="text").table.to_pylist()
    by_id = {row["id"]: row["distance"] for row in other}
    np.testing.assert_allclose([r["b"] for r in found], [by_id[r["id"]] for r in found], atol=1e-6)


def test_distance_takes_another_text_for_each_row(asked):
    found = values(asked, "SELECT id, caption, distance(id, caption) d FROM pairs WHERE id < 3")
    collection = pairdex.open(asked)
    for row in found:
        expected = collection.search(text=row["caption"], k=300).table.to_pylist()
        assert row["d"] == pytest.approx(
            next(hit["distance"] for hit in expected if hit["id"] == row["id"]), abs=1e-6
        )


def test_distance_of_no_row_or_no_text_is_null(asked):
    pairdex.remove(asked, ids=[7], reason="asked to")
    found = values(
        asked,
        "SELECT distance(-1, 'x') a, distance(300, 'x') b, distance(7, 'x') c, "
        "distance(NULL, 'x') d, distance(1, NULL) e",
    )
    assert found == [dict.fromkeys("abcde")]


def test_removed_rows_are_in_no_table_and_no_hit(asked):
    first = values(asked, "SELECT id FROM nearest('a red car', 2)")
    gone = [first[0]["id"], 0, 299]
    pairdex.remove(asked, ids=gone, reason="asked to")
    assert values(asked, "SELECT count(*) n FROM pairs") == [{"n": 300 - len(set(gone))}]
    assert values(asked, f"SELECT id FROM pairs WHERE id IN ({', '.join(map(str, gone))})") == []
    assert values(asked, "SELECT id FROM nearest('a red car', 300)")[0] == first[1]


def test_rows_are_grouped_by_the_part_they_came_with(asked):
    found = values(asked, "SELECT part, max(row) m FROM pairs GROUP BY part ORDER BY part")
    assert found == [{"part": 0, "m": 119}, {"part": 1, "m": 29}, {"part": 2, "m": 149}]


# --- the ways out ---

ESCAPES = [
    "SELECT * FROM '{secret}'",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table(['pairs'])",
    "SELECT * FROM json_execute_serialized_sql('{{}}')",
    "SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = '{folder}/log')",
    "SELECT * FROM enable_profiling(save_location = '{folder}/profile.json')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM (SELECT * FROM arrow_scan_dumb(1, 2, 3)) x, pairs",
    "WITH x AS (FROM read_text('{secret}')) SELECT 1 WHERE EXISTS (FROM x)",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "SELECT [x FOR x IN [1]], (FROM duckdb_settings())",
    "COPY pairs TO '{folder}/copy.csv'",
    "COPY (SELECT 1) TO '{folder}/copy.csv'",
    "EXPORT DATABASE '{folder}/export'",
    "ATTACH '{folder}/new.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "PRAGMA enable_profiling = 'json'",
    "CALL pragma_version()",
    "CREATE TABLE t AS SELECT 1",
    "INSERT INTO pairs VALUES (1)",
    "DELETE FROM pairs",
    "DROP VIEW pairs",
    "BEGIN",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '{folder}/copy.csv'",
    "EXECUTE x",
    "SELECT 1 INTO OUTFILE '{folder}/out'",
]


@pytest.mark.parametrize("statement", ESCAPES)
def test_no_statement_reads_or_writes_anything_else(asked, tmp_path, monkeypatch, tree, statement):
    workplace = tmp_path / "workplace"
    workplace.mkdir()
    (workplace / "secret.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(workplace)
    before = tree(tmp_path)
    filled = statement.format(secret=workplace / "secret.csv", folder=workplace)
    with pytest.raises(InvalidArgument, match="statement"):
        values(asked, filled)
    assert tree(tmp_path) == before


def test_variables_of_the_program_are_no_tables(asked):
    secret = pa.table({"a": [1]})  # noqa: F841 - DuckDB looks for such names
    with pytest.raises(InvalidArgument, match="Table with name secret does not exist"):
        values(asked, "SELECT * FROM secret")


def test_what_needs_more_memory_than_allowed_ends_and_leaves_no_file(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    statement = "SELECT a.caption || i FROM pairs a, range(20000) r(i) ORDER BY 1 DESC"
    with pytest.raises(InvalidArgument, match="needs more memory than it may use"):
        values(asked, statement, memory="60MB")
    assert {path.name for path in tmp_path.iterdir()} == {"parts", "asked"}
    with pytest.raises(InvalidArgument, match="expected a size like 500MB or 4GB"):
        values(asked, "SELECT 1", memory="much")


GREEDY = [
    "SELECT len(list_resize([1], 1000000000))",
    "SELECT list(a.caption || i) FROM pairs a, range(100000) r(i)",
    "SELECT string_agg(a.caption, ',') FROM pairs a, range(100000)",
    "SELECT repeat(caption, 10000000) FROM pairs",
    "SELECT len(range(1000000000))",
    "SELECT DISTINCT a.caption || i FROM pairs a, range(100000) r(i)",
]
_PEAK = """
import json, resource, sys
import pairdex
from pairdex.errors import InvalidArgument
said = []
for statement in json.load(sys.stdin):
    try:
        pairdex.sql(sys.argv[1], statement, memory="300MB")
    except InvalidArgument as error:
        said.append(str(error))
print(json.dumps([said, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def test_no_statement_takes_more_memory_than_it_is_given(asked):
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, asked],
        input=json.dumps(GREEDY),
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    said, peak_kb = json.loads(done.stdout)
    assert len(said) == len(GREEDY)
    assert all("needs more memory than it may use" in line for line in said)
    # The program itself and what is loaded before the statement takes about 200 MB.
    assert peak_kb * 1024 < 300e6 + (350 << 20)


@pytest.mark.parametrize("memory", ["500MB", "0.5GB", "1GiB", " 2 gb "])
def test_a_size_is_read_as_people_write_it(asked, memory):
    assert values(asked, "SELECT 1 AS one", memory=memory) == [{"one": 1}]


@pytest.mark.parametrize("memory", ["", "much", "-1GB", "80%", "9" * 5000 + "GB", "1e9", "inf"])
def test_what_is_not_a_size_is_refused(asked, memory):
    with pytest.raises(InvalidArgument, match=r"memory is .*, expected a size like"):
        values(asked, "SELECT 1", memory=memory)


def test_a_statement_of_several_seconds_answers(asked):
    """After two seconds DuckDB shows a progress bar, which must not mix with the answer."""
    found = values(asked, "SELECT sum(range % 7) AS s FROM range(700000000)")
    assert found == [{"s": sum(n % 7 for n in range(7)) * 100_000_000}]


def test_the_process_ends_with_the_answer_that_nobody_reads_on(asked):
    with selecting(pairdex.open(asked), "SELECT id FROM pairs, range(100000)") as rows:
        assert len(rows.read_next_batch()) > 0
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert children
    left = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert len(left) < len(children)


def test_a_large_answer_comes_in_batches(asked):
    counted = 0
    with selecting(pairdex.open(asked), "SELECT id FROM pairs, range(1000)", memory="60MB") as rows:
        for batch in rows:
            assert len(batch) <= 16_384
            counted += len(batch)
    assert counted == 300_000


HOSTILE_NAMES = ['a"b', 'x" INTEGER, "y', "it's", "a.b", "`", "]; --", "漢字", "select", "$1"]


def test_column_names_of_other_peoples_files_never_leave_their_quotes(make_parts, tmp_path):
    def columns(number, rows):
        odd = {name: [f"{name} {row}" for row in range(rows)] for name in HOSTILE_NAMES}
        nested = pa.array([dict.fromkeys(HOSTILE_NAMES, row) for row in range(rows)])
        return {"url": [f"http://e.org/{row}" for row in range(rows)], "nested": nested} | odd

    pairdex.build(
        make_parts(20, dim=64, columns=columns), tmp_path / "odd", nsfw="none", model="demo"
    )
    collection = pairdex.open(tmp_path / "odd")
    table = pairdex.sql(collection, "SELECT * FROM nearest('a red car', 20)")
    assert set(table.column_names) >= set(HOSTILE_NAMES)
    assert table.to_pylist() == collection.search(text="a red car", k=20).table.to_pylist()
    rows = pairdex.sql(collection, "SELECT * FROM pairs ORDER BY id").to_pylist()
    assert [row[HOSTILE_NAMES[1]] for row in rows] == [f"{HOSTILE_NAMES[1]} {i}" for i in range(20)]


# --- what is wrong is said ---


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("", InvalidArgument, "the statement is empty"),
        (
            "SELECT capton FROM pairs",
            InvalidArgument,
            "unknown column capton; .*did you mean caption",
        ),
        ("SELECT 1 +", InvalidArgument, "syntax error"),
        ("SELECT * FROM nearest('', 3)", InvalidArgument, "the text is empty"),
        ("SELECT * FROM nearest('x', 0)", InvalidArgument, "k is 0"),
        ("SELECT * FROM nearest('x', kind := 'sound')", InvalidArgument, "no 'sound' vectors"),
        ("SELECT * FROM nearest('x', filter := 'no > 1')", InvalidPredicate, "unknown column no"),
        ("SELECT distance(id, '') FROM pairs", InvalidArgument, "the text is empty"),
        ("SELECT no(1)", InvalidArgument, "no does not exist"),
        ("SELECT CAST('x' AS INT) FROM pairs", InvalidArgument, "Could not convert string"),
        ("SELECT '\ud800'", InvalidArgument, "not text"),
    ],
)
def test_a_wrong_statement_is_said_in_one_line(asked, statement, error, message):
    with pytest.raises(error, match=message) as raised:
        values(asked, statement)
    assert "\n" not in str(raised.value)


def test_a_collection_without_a_model_still_answers_what_needs_none(collection):
    assert values(collection, "SELECT count(*) n FROM pairs") == [{"n": 60}]
    with pytest.raises(MissingFile, match="does not record which model"):
        values(collection, "SELECT * FROM nearest('a red car')")


def test_a_damaged_file_is_named(asked):
    path = sorted((asked / "metadata").iterdir())[1]
    data = bytearray(path.read_bytes())
    at = data.find(b"caption 3 of part 1")
    opened = pairdex.open(asked)
    data[at] = 0xFF  # no UTF-8
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match=str(path)):
        values(opened, "SELECT max(caption) FROM pairs")


# --- the command ---


def test_the_command_writes_every_format(asked, run, tmp_path):
    statement = "SELECT id, caption, nsfw, [part, row] AS place FROM pairs ORDER BY id LIMIT 4"
    for suffix in ("csv", "json", "parquet"):
        out = tmp_path / f"out.{suffix}"
        done = run("sql", asked, statement, "--out", out, "--json").json
        assert done["rows"] == 4
        assert done["seconds"] > 0
    expected = values(asked, statement)
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == expected
    assert json.loads((tmp_path / "out.json").read_text()) == expected
    lines = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert lines[0] == ["id", "caption", "nsfw", "place"]
    assert lines[1] == ["0", "caption 0 of part 0", "UNLIKELY", "[0, 0]"]
    assert lines[4] == ["3", "caption 3 of part 0", "", "[0, 3]"]


def test_the_command_prints_csv_json_and_a_table(asked, run):
    statement = "SELECT id, caption FROM pairs WHERE id < 150 ORDER BY id"
    assert len(run("sql", asked, statement, "--format", "csv").out.splitlines()) == 151
    assert len(json.loads(run("sql", asked, statement, "--format", "json").out)) == 150
    table = run("sql", asked, statement).out
    assert "caption 99 of part 0" in table
    assert "caption 100 of part 0" not in table
    assert "the first 100 rows (use --format csv for all)" in table
    machine = run("sql", asked, statement, "--json").json
    assert (machine["rows"], len(machine["values"])) == (150, 150)


def test_the_command_ends_with_one_line_and_half_writes_nothing(asked, run, tmp_path):
    out = tmp_path / "out.csv"
    statement = "SELECT CAST(caption || id AS INT) FROM pairs"
    assert "Could not convert" in run("sql", asked, statement, "--out", out).complaint
    assert not out.exists()
    assert "expected .csv" in run("sql", asked, "SELECT 1", "--out", tmp_path / "x.xls").complaint
    assert "--out FILE.parquet" in run("sql", asked, "SELECT 1", "--format", "parquet").complaint


def test_a_process_that_fails_says_one_line_and_nothing_of_its_libraries(asked):
    command = [sys.executable, "-m", "pairdex", "sql", asked, "SELECT distance(id, '') FROM pairs"]
    failed = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert failed.returncode == 1
    assert failed.stderr == "pairdex: the text is empty; give a few words\n"
