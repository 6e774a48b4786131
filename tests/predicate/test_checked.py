"""Filters: what passes gives the right rows; what is more than a predicate is refused."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from pairdex.errors import InvalidArgument, InvalidPredicate
from pairdex.predicate import MAX_PREDICATE_CHARS, Predicate, time_limit

TABLE = pa.table(
    {
        "url": ["https://a.org/1.jpg", "https://b.org/2.jpg", None],
        "caption": ["a red car", "ein Hörnchen", "it's"],
        "width": pa.array([100, None, 300], pa.int32()),
        "nsfw": ["UNLIKELY", "NSFW", None],
        "similarity": [0.25, float("nan"), 0.5],
        "nothing": pa.nulls(3),
        "taken": pa.array([0, 86_400_000_000, 1], pa.timestamp("us", "UTC")),
        "tags": [["a"], [], None],
        "odd name": [1, 2, 3],
        "keep": [True, False, None],
    }
)


def mask(sql, table=TABLE):
    return Predicate(sql).mask(table).tolist()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("width >= 100", [True, False, True]),
        ("width > 100", [False, False, True]),
        ("WIDTH > 100 AND Url IS NULL", [False, False, True]),
        ("NOT (width > 100)", [True, False, False]),
        ("width IS NULL OR width = 300", [False, True, True]),
        ("nsfw = 'UNLIKELY'", [True, False, False]),
        ("nsfw IS DISTINCT FROM 'NSFW'", [True, False, True]),
        ("nsfw IN ('UNLIKELY', 'NSFW')", [True, True, False]),
        ("caption LIKE '%red%'", [True, False, False]),
        ("caption = 'it''s'", [False, False, True]),
        ("caption ILIKE '%HÖRN%'", [False, True, False]),
        ("regexp_matches(url, '^https://[ab]\\.org/1')", [True, False, False]),
        ("length(caption) BETWEEN 4 AND 9", [True, False, True]),
        ("isnan(similarity)", [False, True, False]),
        ("coalesce(width, 0) % 200 = 0", [False, True, False]),
        ("CASE WHEN width > 100 THEN true ELSE nsfw = 'NSFW' END", [False, True, True]),
        ("TRY_CAST(url AS INTEGER) IS NULL", [True, True, True]),
        ("nothing IS NULL", [True, True, True]),
        ("nothing = 1", [False, False, False]),
        ("NULL = width", [False, False, False]),
        ("true", [True, True, True]),
        ("keep", [True, False, False]),
        ("taken >= '1970-01-02'", [False, True, False]),
        ("date_part('hour', taken) = 0", [True, True, True]),
        ("list_contains(tags, 'a')", [True, False, False]),
        ('"odd name" = 2', [False, True, False]),
        ("width >= 100 -- a comment", [True, False, True]),
        ("width\n>=\t100 /* so */", [True, False, True]),
        ("caption LIKE\n'%ö%'", [False, True, False]),
        ("caption <> '👩\u200d👧'", [True, True, True]),
    ],
)
def test_a_predicate_gives_the_rows_that_satisfy_it(sql, expected):
    assert mask(sql) == expected


def test_the_mask_is_an_array_of_booleans_also_without_rows():
    for table in (TABLE, TABLE.slice(0, 0)):
        found = Predicate("width > 1").mask(table)
        assert found.dtype == np.bool_
        assert found.shape == (len(table),)


def test_a_large_table_keeps_its_order():
    numbers = np.random.default_rng(3).integers(0, 1000, 600_000)
    table = pa.table({"n": pa.chunked_array(np.array_split(numbers, 37))})
    np.testing.assert_array_equal(Predicate("n % 7 = 3").mask(table), numbers % 7 == 3)


def test_one_predicate_is_good_for_many_tables():
    predicate = Predicate("width = 300")
    masks = [predicate.mask(TABLE.slice(start, 1)).tolist() for start in range(3)]
    assert masks == [[False], [False], [True]]


def test_a_column_may_have_the_name_of_the_clock_or_the_user():
    table = pa.table({"user": ["me", "you"], "current_date": [1, 2]})
    assert mask("\"user\" = 'me' OR current_date = 2", table) == [True, True]


@pytest.mark.parametrize(
    "sql",
    [
        "true; DROP TABLE collection",
        "DROP TABLE collection",
        "SELECT 1",
        "COPY collection TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "PRAGMA version",
        "SET memory_limit = '1TB'",
        "true) AS keep FROM collection; SELECT (true",
        "true) AS keep FROM collection --",
        "true) AS keep FROM collection /*",
        "true) AS keep FROM collection WHERE (true",
        "true) AS keep FROM collection USING SAMPLE 10% --",
        "true) AS keep FROM collection TABLESAMPLE (10%) --",
        "true) AS keep FROM collection QUALIFY row_number() OVER () = 1 --",
        "true) AS keep FROM collection UNION ALL SELECT (true",
        "true) AS keep FROM (SELECT (true",
        "true) AS keep, (true",
        "true, true",
        "width > 1 ORDER BY width",
        "width > 1 LIMIT 1",
        "width > 1 GROUP BY ALL",
    ],
)
def test_a_statement_is_refused(sql):
    with pytest.raises(InvalidPredicate, match=r"the filter .* (is|fails|names)"):
        mask(sql)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("width = (SELECT max(width) FROM collection)", "a subquery"),
        ("EXISTS (SELECT 1)", "a subquery"),
        ("url IN (SELECT content FROM read_text('/etc/passwd'))", "a subquery"),
        ("url IN (FROM '/etc/passwd')", "a subquery"),
        ("read_text('/etc/passwd') IS NULL", "read_text"),
        ("read_blob('/etc/passwd') IS NULL", "read_blob"),
        ("glob('/etc/*') IS NULL", "glob"),
        ("count(*) > 1", "count_star"),
        ("sum(width) > 1", "sum"),
        ("array_agg(width) IS NULL", "array_agg"),
        ("row_number() OVER () = 1", "a window function"),
        ("lag(width) OVER () = 1", "a window function"),
        ("? = 1", "a parameter"),
        ("width = $1", "a parameter"),
        ("COLUMNS(*) > 1", r"\*"),
        ("#1 = 1", "a positional reference"),
        ("unnest([true])", "unnest"),
        ("random() < 0.5", "random"),
        ("RANDOM() < 0.5", "random"),
        ("main.random() < 0.5", "random"),
        ("setseed(0.1) IS NULL", "setseed"),
        ("gen_random_uuid() IS NULL", "gen_random_uuid"),
        ("now() > taken", "now"),
        ("today() > taken", "today"),
        ("get_current_timestamp() > taken", "get_current_timestamp"),
        ("current_localtimestamp() > '2000-01-01'", "current_localtimestamp"),
        ("age(TIMESTAMP '2000-01-01') > INTERVAL 1 DAY", "age"),
        ("strftime(now(), '%d') = '01'", "(now|strftime)"),
        ("nextval('s') = 1", "nextval"),
        ("current_setting('memory_limit') = ''", "current_setting"),
        ("getvariable('x') IS NULL", "getvariable"),
        ("txid_current() = 1", "txid_current"),
        ("sleep_ms(1) IS NULL", "(sleep_ms|the unknown function sleep_ms)"),
        ("write_log('x') IS NULL", "write_log"),
        ("error('x')", "error"),
        ("query('SELECT 1')", "query"),
        ("vector_type(width) = 'FLAT_VECTOR'", "(vector_type|the unknown function vector_type)"),
        ("nosuch(width)", "the unknown function nosuch"),
    ],
)
def test_what_is_no_function_of_one_row_is_refused_by_its_name(sql, what):
    with pytest.raises(InvalidPredicate, match=f"the filter .* uses {what}"):
        Predicate(sql)


def words_that_mean_something():
    """Words that DuckDB evaluates although no column has their name: the clock, the user, constants."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE collection AS SELECT 1 AS width")
    words = connection.execute(
        "SELECT keyword_name FROM duckdb_keywords()"
        " UNION SELECT function_name FROM duckdb_functions() WHERE function_name ~ '^[a-z_]+$'"
    ).fetchall()
    found = set()
    for word in {word for (word,) in words} | {"current_timestamp", "current_time", "localtime"}:
        for spelled in (word, f'"{word}"'):
            with contextlib.suppress(duckdb.Error):
                connection.execute(f"SELECT ({spelled} IS NOT NULL) FROM collection").fetchall()
                found.add(spelled)
    return found


def test_no_word_but_the_constants_means_something_without_a_column():
    words = words_that_mean_something() - {"true", "false", "null"}
    assert {"current_date", '"current_date"', "current_timestamp", "user"} <= words
    for word in sorted(words):
        with pytest.raises(InvalidPredicate, match="names the unknown column"):
            mask(f"{word} IS NOT NULL")


@pytest.mark.parametrize("sql", ["", "   ", "\n"])
def test_an_empty_filter_is_refused(sql):
    with pytest.raises(InvalidPredicate, match="the filter is empty"):
        Predicate(sql)


def test_a_filter_that_is_too_long_is_refused():
    Predicate("width = " + "1" * (MAX_PREDICATE_CHARS - 8))
    with pytest.raises(InvalidPredicate, match="has 10,001 characters, expected at most 10,000"):
        Predicate("width = " + "1" * (MAX_PREDICATE_CHARS - 7))


@pytest.mark.parametrize(
    "sql",
    [
        "NOT " * 2400 + "true",
        "CASE WHEN true THEN " * 400 + "true" + " END" * 400,
        "list_value(" * 800 + "1" + ")" * 800 + " IS NULL",
    ],
)
def test_a_filter_that_is_nested_too_deeply_is_refused_in_one_line(sql):
    """How deep that is depends on DuckDB and Python."""
    try:
        answer = mask(sql)
    except InvalidPredicate as error:
        answer = str(error)
    assert answer in ([True] * 3, [False] * 3) or (isinstance(answer, str) and "\n" not in answer)


def test_a_filter_that_python_cannot_take_apart_is_refused(monkeypatch):
    def too_deep(text):
        raise RecursionError

    monkeypatch.setattr("pairdex.predicate.checked.json.loads", too_deep)
    with pytest.raises(InvalidPredicate, match="the filter 'true' is nested too deeply"):
        Predicate("true")


@pytest.mark.parametrize("sql", ["caption = '\udcff'", "width > 1\0", "\0"])
def test_bytes_that_are_no_text_are_refused(sql):
    with pytest.raises(InvalidPredicate, match="holds bytes that are not text"):
        Predicate(sql)


def test_an_unknown_column_is_named_with_those_there_are():
    with pytest.raises(InvalidPredicate) as caught:
        mask("widht > 100")
    assert str(caught.value) == (
        "the filter 'widht > 100' names the unknown column widht; the columns are url, caption, width, "
        "nsfw, similarity, nothing, taken, tags, odd name, keep; did you mean width?"
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("width", "'width' is a integer, expected a boolean"),
        ("1", "'1' is a integer, expected a boolean"),
        ("NULL", "'NULL' is a (null|integer), expected a boolean"),
        ("caption", "'caption' is a varchar, expected a boolean"),
        ("width = 'wide'", "fails: Conversion Error"),
        ("caption ~ '(a'", "fails: Invalid Input Error: missing \\)"),
        ("width >", "is not an SQL predicate: syntax error"),
        ("caption LIKE '%", "is not an SQL predicate: unterminated"),
        ("lower(1, 2)", "fails: Binder Error: No function matches"),
    ],
)
def test_what_is_wrong_with_a_predicate_is_told_in_one_line(sql, message):
    with pytest.raises(InvalidPredicate, match=message) as caught:
        mask(sql)
    assert "\n" not in str(caught.value)


def test_an_invalid_predicate_is_an_invalid_argument_of_the_field_where():
    with pytest.raises(InvalidArgument) as caught:
        Predicate("")
    assert caught.value.field == "where"
    assert caught.value.code == "invalid_predicate"


def test_the_machines_time_zone_does_not_change_the_answer():
    program = (
        "import pyarrow as pa; from pairdex.predicate import Predicate;"
        "table = pa.table({'taken': pa.array([0], pa.timestamp('us', 'UTC'))});"
        "print(Predicate(\"date_part('hour', taken) = 0 AND taken = '1970-01-01 00:00'\").mask(table))"
    )
    for zone in ("UTC", "Asia/Tokyo"):
        answer = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout == "[ True]\n"


def test_a_python_variable_is_no_table():
    other = TABLE  # noqa: F841 - DuckDB would find it by its name
    with pytest.raises(InvalidPredicate):
        mask("other.width = 100")


SLOW = "regexp_matches(caption, '(a{1,100}){1,10}b')"
"""Two minutes for these rows, in one block that DuckDB does not interrupt."""


def test_a_filter_ends_when_its_time_is_over():
    table = pa.table(
        {"id": range(20_000), "caption": ["a" * (1000 + i % 900) for i in range(20_000)]}
    )
    with time_limit(60):
        assert Predicate("regexp_matches(caption, '^a+$')").mask(table).all()
    started = time.monotonic()
    with time_limit(1), pytest.raises(InvalidPredicate, match="takes too long; make it simpler"):
        Predicate(SLOW).mask(table)
    assert time.monotonic() - started < 30
    with time_limit(-1), pytest.raises(InvalidPredicate, match="takes too long"):
        Predicate("id > 1").mask(table)
    with time_limit(60):
        assert Predicate("id > 1").mask(table).sum() == 19_998
    assert Predicate("id > 1").mask(table).sum() == 19_998


def test_the_time_of_one_thread_is_not_that_of_another():
    seen = []
    with time_limit(-1):
        thread = threading.Thread(
            target=lambda: seen.append(Predicate("id > 1").mask(pa.table({"id": [1, 2]})).tolist())
        )
        thread.start()
        thread.join()
    assert seen == [[False, True]]
