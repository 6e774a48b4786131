"""Searches without a query: by keywords, by a filter, in the order of a column."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.errors import InvalidArgument, InvalidPredicate

N = 40


def columns(number, rows):
    """Columns of every type with an order, and one without; some values are equal, some missing."""
    rng = np.random.default_rng(number)
    sizes = rng.integers(0, 6, rows)
    return pa.table(
        {
            "caption": [f"{'red' if i % 3 == 0 else 'blue'} car {i}" for i in range(rows)],
            "small": pa.array(sizes, pa.int8()),
            "big": pa.array([2**63 + int(i) for i in sizes], pa.uint64()),
            "low": pa.array([-(2**63) + int(i) for i in sizes], pa.int64()),
            "real": [float("nan") if i == 2 else None if i == 3 else i / 4 for i in sizes],
            "flag": [None if i == 0 else bool(i % 2) for i in sizes],
            "day": pa.array([None if i == 1 else int(i) for i in sizes], pa.date32()),
            "taken": pa.array([int(i) * 10**9 for i in sizes], pa.timestamp("us")),
            "word": [None if i == 4 else "äBbß "[i % 5] for i in sizes],
            "tags": pa.array([["a"]] * rows, pa.list_(pa.string())),
        }
    )


@pytest.fixture
def c(make_parts, build, tmp_path):
    build(make_parts(25, 15, columns=columns), tmp_path / "c")
    return pairdex.open(tmp_path / "c")


def expected_order(c, column, *, descending):
    values = c.take(np.arange(N))[column].to_pylist()
    known = [i for i in range(N) if values[i] is not None and values[i] == values[i]]
    known.sort(key=lambda i: values[i], reverse=descending)  # stable, also in reverse
    return known + [i for i in range(N) if i not in set(known)]


SORTED = ["small", "big", "low", "real", "flag", "day", "taken", "word", "caption"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", SORTED)
def test_a_column_orders_rows_equal_values_by_id_and_missing_ones_last(c, column, descending):
    found = c.search(sort=column, descending=descending, k=N)
    assert found.ids.tolist() == expected_order(c, column, descending=descending)


@pytest.mark.parametrize("column", ["small", "real", "word", "id"])
def test_pages_by_after_give_each_row_once_in_the_same_order(c, column):
    whole = c.search(sort=column, k=N).ids.tolist()
    pages, after = [], None
    while True:
        page = c.search(sort=column, k=7, after=after)
        pages += page.ids.tolist()
        after = page.report.next
        if after is None:
            break
    assert pages == whole
    by_offset = [c.search(sort=column, k=7, offset=n).ids for n in range(0, N, 7)]
    assert np.concatenate(by_offset).tolist() == whole


def test_a_row_removed_between_pages_shifts_nothing(c, run):
    first = c.search(sort="small", k=10)
    whole = c.search(sort="small", k=N).ids.tolist()
    gone = [whole[3], first.report.next]
    where = f"id IN ({gone[0]}, {gone[1]})"
    assert run("remove", c.path, "--where", where, "--reason", "test").status == 0
    rest = c.search(sort="small", k=N, after=first.report.next).ids.tolist()
    assert rest == whole[10:]
    assert not set(gone) & set(c.search(sort="small", k=N).ids.tolist())


def test_a_filter_alone_gives_rows_by_id_without_distances(c):
    found = c.search(where="small = 2", k=3)
    assert found.ids.tolist() == sorted(found.ids.tolist())
    assert (found.report.method, found.report.words) == ("browse", ())
    assert found.report.total == len(c.search(where="small = 2", k=N))
    assert found["distance"].null_count == len(found) == 3
    assert np.isnan(found.distances).all()
    assert not found.report.certified
    assert "browse" in repr(found)


def test_keywords_alone_rank_captions_that_have_any_of_the_words(c):
    found = c.search(keywords="red 7", k=N)
    captions = found["caption"].to_pylist()
    assert all("red" in caption or caption.endswith(" 7") for caption in captions)
    scores = found["keyword_score"].to_pylist()
    assert scores == sorted(scores, reverse=True)
    assert (found.report.method, found.report.words) == ("keywords", ("red", "7"))
    assert found.report.total == len(found)


def test_keywords_page_by_after(c):
    whole = c.search(keywords="red car", k=N)
    first = c.search(keywords="red car", k=5)
    rest = c.search(keywords="red car", k=N, after=first.report.next)
    assert first.ids.tolist() + rest.ids.tolist() == whole.ids.tolist()
    assert rest.report.next is None


def test_keywords_with_a_column_find_captions_with_all_words_in_its_order(c):
    found = c.search(keywords='red car -"car 0"', sort="small", descending=True, k=N)
    captions = found["caption"].to_pylist()
    assert captions
    assert all("red" in caption and caption != "red car 0" for caption in captions)
    sizes = found["small"].to_pylist()
    assert sizes == sorted(sizes, reverse=True)


def test_phrases_and_excluded_words_hold_without_a_query(c):
    found = c.search(keywords='"red car" -3', k=N)["caption"].to_pylist()
    assert found
    assert all(each.startswith("red car") and not each.endswith(" 3") for each in found)


def test_folding_works_without_a_query_and_has_no_next(c):
    found = c.search(sort="id", fold=0.5, k=5)
    assert found.report.next is None
    assert len(found["folded"]) == 5


def test_facets_count_the_rows_that_keywords_find(c):
    facets = c.facets(keywords="red", where="small > 1")
    assert facets.rows == c.search(keywords="red", where="small > 1").report.total
    assert c.facets(where="small > 1").rows > facets.rows


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sort": "smal"}, "no column 'smal' to sort by.*did you mean small"),
        ({"sort": "tags"}, "tags cannot be sorted by: its values are list"),
        ({"sort": "x\0"}, "sort is"),
        ({"descending": True, "where": "true"}, "descending needs sort"),
        ({"sort": "small", "after": N}, "expected the `next` of an earlier page"),
        ({"sort": "small", "after": -1}, "expected the `next` of an earlier page"),
        ({"sort": "small", "after": 3, "offset": 2}, "after cannot be combined"),
        ({"sort": "small", "like": 3}, "sort is for searches without a query"),
        ({"after": 3, "like": 3}, "after is for searches without a query"),
        ({"where": "small > 1", "unlike": "cat"}, "takes exactly one of"),
        ({}, "or keywords, where or sort alone, got none of them"),
        ({"keywords": "-red"}, "contain no word to look for"),
    ],
)
def test_what_cannot_be_done_is_refused(c, asked, message):
    with pytest.raises(InvalidArgument, match=message):
        c.search(**asked)


def test_a_bad_filter_is_refused_without_a_query(c):
    with pytest.raises(InvalidPredicate, match="unknown column nosuch"):
        c.search(where="nosuch > 1")


def test_a_text_column_with_too_many_texts_is_refused(c, monkeypatch):
    monkeypatch.setattr("pairdex.search.sorting.MAX_TEXTS", 10)
    with pytest.raises(
        InvalidArgument, match="caption cannot be sorted by: it has more than 10 diff"
    ):
        c.search(sort="caption")


def test_safe_mode_holds_without_a_query(collection):
    safe = pairdex.open(collection).search(sort="id", safe=True, k=60)
    assert set(safe["nsfw"].to_pylist()) == {"UNLIKELY"}


def test_an_empty_collection_can_be_browsed(make_parts, build, tmp_path):
    build(make_parts(3), tmp_path / "empty", where="false")
    found = pairdex.open(tmp_path / "empty").search(sort="width")
    assert (len(found), found.report.total, found.report.next) == (0, 0, None)


def test_the_command_browses_and_names_the_method(c, run):
    where = ("--where", "small >= 1", "--sort", "small", "--descending", "-k", 4)
    answer = run("search", c.path, *where, "--json").json
    assert [answer[name] for name in ("method", "words", "exact")] == ["browse", [], True]
    assert [hit["small"] for hit in answer["hits"]] == [5] * 4
    assert all(hit["distance"] is None for hit in answer["hits"])
    assert f"4 of {answer['total']} rows" in run("search", c.path, *where).out
    said = run("search", c.path, "--keywords", "red 7", "--json").json
    assert (said["method"], said["words"]) == ("keywords", ["red", "7"])
    assert "keyword score" in run("search", c.path, "--keywords", "red").out


def test_the_command_writes_parquet_and_refuses_a_file_of_distances(c, run, tmp_path):
    done = run("search", c.path, "--sort", "small", "--out", tmp_path / "rows.parquet", "--json")
    assert len(json.loads(done.out)["hits"]) == 10
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 10
    failed = run("search", c.path, "--sort", "small", "--out", tmp_path / "rows.h5")
    assert "a search without a query has none: write a .parquet file" in failed.complaint
    assert "either --vectors or" in run("search", c.path, "--vectors", "q", "--sort", "x").complaint
