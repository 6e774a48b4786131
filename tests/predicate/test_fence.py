"""Filters of others: none takes more memory or time than the limits say, and ordinary ones are not slowed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pyarrow as pa
import pytest

from pairdex.errors import InvalidPredicate
from pairdex.predicate import Predicate, time_limit
from pairdex.predicate.evaluation import FilterFailed
from pairdex.predicate.fence import MEMORY_BYTES, Fence, Fences, fences
from pairdex.predicate.rules import ALLOWED_FUNCTIONS

TABLE = pa.table({"id": range(3000), "caption": [f"row {i} of a red car" for i in range(3000)]})

REFUSED = [
    "len(rpad('', 2000000000, 'x')) > 0",
    "len(lpad('', 2000000000, 'x')) > 0",
    "len(list_resize([1], 2000000000)) > 0",
    "len(array_resize([1], 2000000000)) > 0",
    "len(repeat(caption, 100000000)) > 0",
    "len(list_sort(range(100000000))) > 0",
    "len(list_concat(range(100000000), range(100000000))) > 0",
    "len(generate_series(1, 1000000000)) > 0",
    "len(range(id * 1000000000)) > 0",
    "len(hex(rpad('', 1000000000, 'x'))) > 0",
    "len(string_split(rpad('', 100000000, ','), ',')) > 0",
    "len(regexp_split_to_array(caption, '')) > 0",
    "len(replace(caption, 'a', 'aaaaaaaaaaaaaaaaaaaa')) > 0",
    "len(replace(caption, '', 'x')) > 0",
    "len(regexp_replace(caption, 'a', '\\0\\0\\0\\0', 'g')) > 0",
    "damerau_levenshtein(caption, caption) > 0",
    "levenshtein(repeat('a', 30000), repeat('b', 30000)) > 0",
    "levenshtein(caption || caption, caption) > 0",
    f"damerau_levenshtein(caption, '{'a' * 257}') > 0",
    "len(bar(id, 0, 1, 1000000000)) > 0",
    "len(printf('%1000000000d', id)) > 0",
    "len(format('{:1000000000}', id)) > 0",
    "len(to_base(id, 2, 1000000000)) > 0",
    "len(bitstring('1', 1000000000)) > 0",
    "factorial(1000) > 0",
    "len(list_transform([1], x -> x)) > 0",
    "len([x for x in range(1000000000)]) > 0",
    "len(list_zip([1], [2])) > 0",
    "(NULL::INTEGER[100000]) IS NULL",
    "(NULL::INTEGER[100000][100000]) IS NULL",
    "(NULL::STRUCT(a INTEGER[100000])) IS NULL",
    "len(1::BIT::VARCHAR) > 0",
    f"strftime(TIMESTAMP '2000-01-01', '{'%A' * 100}') = ''",
    f"concat_ws('{'x' * 200}', caption, caption) = ''",
]
"""What is refused before anything is evaluated."""

LIMITED = [
    "len(string_split(" + "||".join(["caption"] * 900) + ", '')) > 0",
    "len(" + "||".join(["caption"] * 1000) + ") > 0",
    "len(" + "translate(upper(" * 60 + "caption" + ",'a','ä'))" * 60 + ") > 0",
    "len(hex(hex(hex(hex(hex(hex(" + "||".join(["caption"] * 100) + "))))))) > 0",
    "regexp_matches(caption, '(a{1,100}){1,10}b')",
    "regexp_matches(caption, '((((a{1,9}){1,9}){1,9}){1,9}){1,9}b')",
    "caption LIKE '" + "%a_" * 300 + "b'",
    "caption ILIKE '" + "%a%_" * 300 + "b'",
    "caption GLOB '" + "*a?" * 300 + "b'",
    "damerau_levenshtein(caption, '" + "b" * 256 + "') > 0",
    "jaccard(caption, 'abc') > 2",
    "json_extract(caption, [" + ",".join(["'$**.a'"] * 500) + "]) IS NULL",
    "[" + ",".join(["caption"] * 1000) + "] = ['x']",
]
"""What may pass, and has to end."""

PROGRAM = """
import json, resource, sys, time
import pyarrow as pa
from pairdex.errors import InvalidPredicate
from pairdex.predicate import Predicate, time_limit
table = pa.table({"id": range(2048), "caption": ["a" * (20_000 + i) for i in range(2048)]})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for sql in json.load(sys.stdin):
    started = time.monotonic()
    try:
        with time_limit(2):
            said = str(int(Predicate(sql).mask(table).sum()))
    except InvalidPredicate as error:
        said = str(error)
    print(json.dumps([time.monotonic() - started, said]), flush=True)
from pairdex.predicate.fence import fences
fences().close()
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


@pytest.mark.parametrize("sql", REFUSED)
def test_what_makes_more_than_its_input_is_refused_unevaluated(sql):
    with pytest.raises(
        InvalidPredicate, match=r"which is not allowed|not an SQL predicate"
    ) as raised:
        Predicate(sql)
    assert str(raised.value).isprintable()


def test_hostile_filters_end_in_their_time_and_memory():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(REFUSED + LIMITED),
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    *answers, (own_kb, children_kb) = map(json.loads, done.stdout.splitlines())
    assert len(answers) == len(REFUSED) + len(LIMITED)
    for sql, (seconds, said) in zip(REFUSED + LIMITED, answers, strict=True):
        assert seconds < 30, (sql[:80], seconds)  # 2, and the start of a process on a busy machine
        assert said.isprintable(), sql[:80]
    assert children_kb * 1024 < MEMORY_BYTES + (600 << 20)
    assert own_kb * 1024 < 400 << 20  # the table goes over in one piece


def test_the_list_of_functions_holds_none_that_makes_much_of_little():
    much = {"repeat", "rpad", "lpad", "range", "generate_series", "list_resize", "format", "printf"}
    assert not ALLOWED_FUNCTIONS & much


@pytest.mark.parametrize(
    "sql",
    [
        "id >= 10 AND caption LIKE '%car%'",
        "id IN (1, 2, 3) OR NOT (id BETWEEN 5 AND 9)",
        "caption IS NOT NULL AND id % 7 = 3",
        "contains(caption, 'red') AND id > -1",
        "id::DOUBLE / 2 > 1.5",
    ],
)
def test_plain_filters_of_others_are_evaluated_without_a_process(sql, monkeypatch):
    monkeypatch.setattr("pairdex.predicate.checked.fences", None)
    with time_limit(60):
        inside = Predicate(sql).mask(TABLE)
    assert inside.tolist() == Predicate(sql).mask(TABLE).tolist()


@pytest.mark.parametrize(
    "sql",
    [
        "lower(caption) LIKE '%CAR%'",
        "length(caption) > 18 AND id < 2000",
        "len(string_split(caption, ' ')) = 6",
        "levenshtein(caption, 'row 1 of a red car') < 3",
        "replace(caption, ' ', '') LIKE 'row1%'",
        "CASE WHEN id < 5 THEN caption = 'row 1 of a red car' ELSE true END",
        "upper('x') = 'X'",
        "collection.id % 2 = 0 AND upper(collection.caption) <> ''",
    ],
)
def test_a_filter_gives_the_same_inside_the_fence(sql):
    with time_limit(60):
        inside = Predicate(sql).mask(TABLE)
    assert inside.tolist() == Predicate(sql).mask(TABLE).tolist()
    assert len(inside) == len(TABLE)


def said_of(sql):
    with pytest.raises(InvalidPredicate) as raised:
        Predicate(sql).mask(TABLE)
    return str(raised.value)


@pytest.mark.parametrize(
    "sql", ["lower(captoin) = 'x'", "lower(1, 2) = 'x'", "lower(caption)", "upper(caption) ~ '(a'"]
)
def test_what_is_wrong_is_said_in_the_same_words_inside_the_fence(sql):
    with time_limit(60):
        inside = said_of(sql)
    assert inside == said_of(sql)


def test_a_process_that_is_killed_is_replaced(monkeypatch):
    pool = Fences(1)
    query = "SELECT (upper(caption) <> '') AS keep FROM collection"
    assert pool.evaluate(query, TABLE, 60).keep.all()
    (fence,) = pool._idle
    os.kill(fence._process.pid, signal.SIGKILL)
    with pytest.raises(FilterFailed):
        pool.evaluate(query, TABLE, 60)
    assert pool.evaluate(query, TABLE, 60).keep.all()
    pool.close()
    assert fence._process.returncode is not None


def test_the_process_ends_with_the_one_that_started_it():
    fence = Fence()
    fence._process.stdin.close()
    assert fence._process.wait(60) is not None
    fence._process.stdout.close()


def test_filters_of_many_threads_share_a_few_processes():
    seen = []

    def ask(number):
        with time_limit(60):
            seen.append(
                int(Predicate(f"abs(id - {number}) < 1 AND upper(caption) <> ''").mask(TABLE).sum())
            )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 12
    assert len(fences()._idle) <= 4


def test_waiting_for_a_process_counts_as_time():
    pool = Fences(0)
    started = time.monotonic()
    with pytest.raises(FilterFailed, match="time is over"):
        pool.evaluate("SELECT (true) AS keep FROM collection", TABLE, 0.1)
    assert time.monotonic() - started < 20
