"""Safe mode: only rows that are known to be safe, whatever the filter says."""

import pyarrow as pa
import pytest

import pairdex
from pairdex.errors import InvalidArgument, InvalidPredicate
from pairdex.search import narrowed, safe_filter
from pairdex.store.store import Store


def schema(**columns):
    return pa.schema(list(columns.items()))


def test_the_score_is_asked_before_the_tag():
    assert safe_filter(schema(punsafe=pa.float32(), nsfw=pa.string())) == "punsafe < 0.5"
    assert safe_filter(schema(nsfw=pa.string())) == "nsfw = 'UNLIKELY'"


def test_columns_that_cannot_be_the_score_or_the_tag_tell_nothing():
    assert safe_filter(schema(url=pa.string())) is None
    assert safe_filter(schema(punsafe=pa.string(), nsfw=pa.bool_())) is None


def test_only_rows_that_are_tagged_safe_are_found(collection):
    c = pairdex.open(collection)
    assert c.has_safe_mode
    found = c.search(like=0, k=60, safe=True)
    assert set(found["nsfw"].to_pylist()) == {"UNLIKELY"}
    # of 30, 10 and 20 rows every fourth is UNLIKELY: 8 + 3 + 5, and row 0 is the query
    assert len(found) == 15


def test_safe_mode_and_a_filter_hold_together(collection):
    c = pairdex.open(collection)
    found = c.search(like=59, k=60, where="width < 105 OR width > 127", safe=True)
    assert sorted(found["id"].to_pylist()) == [0, 4, 28, 30, 34, 40, 44]


@pytest.mark.parametrize(
    "where",
    ["1=1) OR (1=1", "true) OR (nsfw <> 'x'", "1=1)) OR ((1=1", "(1=1", "1=1 --)", "1=1 /*"],
)
def test_a_filter_cannot_get_out_of_its_brackets(collection, where):
    c = pairdex.open(collection)
    try:
        found = c.search(like=0, k=60, where=where, safe=True)
    except InvalidPredicate:
        return
    assert set(found["nsfw"].to_pylist()) == {"UNLIKELY"}


def test_a_filter_that_closes_foreign_brackets_is_refused_without_safe_mode_too(collection):
    with pytest.raises(InvalidPredicate, match="is not an SQL predicate"):
        pairdex.open(collection).search(like=0, where="1=1) OR (1=1")


def test_a_wrong_filter_is_told_in_its_own_words(collection):
    with pytest.raises(InvalidPredicate, match=r"^the filter 'widht > 1' names the unknown column"):
        narrowed(Store(collection), "widht > 1", safe=True)


def test_safe_mode_needs_something_to_know_safe_rows_by(make_parts, build, tmp_path):
    build(make_parts(3, columns={"url": ["a", "b", "c"]}), tmp_path / "c")
    c = pairdex.open(tmp_path / "c")
    assert not c.has_safe_mode
    with pytest.raises(InvalidArgument, match="neither a column punsafe nor nsfw") as caught:
        c.search(like=0, safe=True)
    assert caught.value.field == "safe"
    assert len(c.search(like=0)) == 2


def test_the_command_line_has_safe_mode_for_rows_and_for_files_of_vectors(
    collection, run, tmp_path
):
    hits = run("search", collection, "--like", 1, "-k", 60, "--safe", "--json").json["hits"]
    assert {hit["nsfw"] for hit in hits} == {"UNLIKELY"}
    import numpy as np

    np.save(tmp_path / "q.npy", np.ones((1, 8), np.float32))
    out = run("search", collection, "--vectors", tmp_path / "q.npy", "-k", 60, "--safe", "--json")
    assert len([i for i in out.json["ids"][0] if i >= 0]) == 16
