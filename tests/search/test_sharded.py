"""A sharded collection gives the answers of the collection that it was divided from."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pairdex
from pairdex.derived.codes import codes_path
from pairdex.errors import InvalidArgument, NoSuchRow
from pairdex.files import lock
from pairdex.search import Query, Term
from sharded import DIM, make_twins

SLOWLY = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FILTERS = [
    None,
    "width < 103",
    "id >= 60 AND id < 130",
    "id % 40 = 3",
    "nsfw = 'UNLIKELY' OR width = 106",
    "caption LIKE '%dog%' AND license = 'cc-by'",
    "id = 199",
    "width > 1000",
]


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A collection with removed rows, and its shards."""
    twins = make_twins(tmp_path_factory.mktemp("twins"))
    for folder in (twins.whole, twins.shards):
        pairdex.remove(folder, ids=[4, 66, 150, 198], reason="takedown")
    return twins


@pytest.fixture(scope="module")
def both(twins):
    return pairdex.open(twins.whole), pairdex.open(twins.shards)


def queries(seed, n):
    """Random vectors, (n, DIM)."""
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def assert_same_hits(one, other):
    """Compare all rows and columns of hits, and how they were found."""
    assert other.table.equals(one.table)
    for name in ("method", "words", "total", "next", "note", "exact", "certified", "recall"):
        assert getattr(other.report, name) == getattr(one.report, name), name


@SLOWLY
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 30),
    k=st.integers(1, 250),
    on=st.sampled_from(["image", "text"]),
    where=st.sampled_from(FILTERS),
)
def test_nearest_rows_are_the_same(both, seed, n, k, on, where):
    one, other = (c.nearest(queries(seed, n), k, on=on, where=where) for c in both)
    np.testing.assert_array_equal(other.ids, one.ids)
    np.testing.assert_array_equal(other.distances, one.distances)
    assert other.report.certified
    assert other.report.exact
    assert other.report.answered == one.report.answered


@SLOWLY
@given(like=st.integers(0, 199), k=st.integers(1, 60), where=st.sampled_from(FILTERS))
def test_equal_rows_of_different_shards_are_ordered_by_id(both, like, k, where):
    if like in (4, 66, 150, 198):
        for c in both:
            with pytest.raises(NoSuchRow, match=f"id {like} was removed"):
                c.search(like=like, k=k)
        return
    one, other = (c.search(like=like, k=k, where=where) for c in both)
    assert_same_hits(one, other)


@pytest.mark.parametrize("where", FILTERS[:6:2])
@pytest.mark.parametrize(
    "question",
    [
        {"text": "a red dog on the hill"},
        {"text": "dog", "hybrid": False},
        {"text": "a red dog", "unlike": "a boat"},
        {"like": 0, "fold": 0.06},
        {"like": 9, "offset": 7},
        {"vector": np.arange(1, DIM + 1), "on": "text"},
        {"vector": np.ones(DIM), "keywords": 'dog "red cat" -hill'},
        {"terms": [Term(text="red"), Term(like=12, weight=-0.5)]},
        {"text": "blue", "safe": True},
    ],
    ids=str,
)
def test_questions_have_the_same_answers(both, question, where):
    one, other = (c.search(**question, k=12, where=where) for c in both)
    assert_same_hits(one, other)


@pytest.mark.parametrize("where", FILTERS[1::2])
@pytest.mark.parametrize(
    "options",
    [
        {"keywords": "dog house"},
        {"keywords": 'red -"blue cat"', "sort": "width", "descending": True},
        {"sort": "caption", "offset": 11},
        {"sort": "nsfw", "after": 101},
        {"sort": "id", "fold": 0.1},
    ],
    ids=str,
)
def test_browsing_shows_the_same_rows(both, options, where):
    one, other = (c.search(**options, k=15, where=where) for c in both)
    assert_same_hits(one, other)


@pytest.mark.parametrize("where", FILTERS)
def test_facets_and_sql_count_the_same(both, where):
    one, other = (c.facets(where=where, keywords="dog") for c in both)
    assert other == one
    statement = f"SELECT license, count(*) n, sum(id) s FROM pairs WHERE {where or 'true'} GROUP BY 1 ORDER BY 1"
    if where == FILTERS[2]:  # each runs a process
        one, other = (c.sql(statement) for c in both)
        assert other.equals(one)


def test_rows_are_read_by_the_same_ids(both):
    one, other = both
    assert (len(other), other.dim, other.columns) == (len(one), one.dim, one.columns)
    ids = [199, 0, 65, 64, 120, 65]
    assert other.take(ids).equals(one.take(ids))
    assert other[60:130].equals(one[60:130])
    assert other[130] == one[130]
    assert list(other) == list(one)
    assert other.values([3, 170]) == one.values([3, 170])
    np.testing.assert_array_equal(
        np.asarray(other.vectors("text")), np.asarray(one.vectors("text"))
    )
    assert [66 in other, 67 in other, 200 in other] == [False, True, False]
    urls = ["https://example.org/4/5.jpg", "https://example.org/0/4.jpg", "nosuch"]
    assert other.find_urls(urls) == one.find_urls(urls)
    with pytest.raises(NoSuchRow, match="has the ids 0 to 199"):
        other.take([200])


def test_an_encoded_query_is_the_same_vector(both):
    query = Query(text="a red dog", unlike="a cat")
    one, other = (c.query_vector(query) for c in both)
    np.testing.assert_array_equal(other, one)


def test_codes_are_made_in_each_shard_and_change_no_answer(twins, tmp_path):
    folder = shutil.copytree(twins.shards, tmp_path / "s")
    shards = sorted(folder.glob("shards/*"))
    for path in shards:
        codes_path(path, "image").unlink(missing_ok=True)
    expected = pairdex.open(twins.whole).nearest(queries(5, 8), 20)
    without = pairdex.open(folder, use_codes=False).nearest(queries(5, 8), 20)
    assert [codes_path(path, "image").exists() for path in shards] == [False] * 3
    opened = pairdex.open(folder)
    assert not opened.is_prepared()
    opened.prepare()
    assert opened.is_prepared()
    assert [codes_path(path, "image").exists() for path in shards] == [True] * 3
    codes_path(shards[1], "image").unlink()
    with lock.writing(shards[1]):  # so that the codes cannot be written
        partly = pairdex.open(folder).nearest(queries(5, 8), 20)
    for found in (without, opened.nearest(queries(5, 8), 20), partly):
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.distances, expected.distances)
    assert 0 < partly.report.scanned < expected.report.scanned * 1.5


def test_rows_removed_from_a_shard_disappear_at_once_in_both_views(twins, tmp_path):
    folder = shutil.copytree(twins.shards, tmp_path / "s")
    together, second = pairdex.open(folder), pairdex.open(folder / "shards/00001")
    assert 70 in together
    report = pairdex.remove(folder, ids=[5, 66, 70], reason="takedown")
    assert (report.removed, report.already, report.rows) == (2, 1, 194)
    assert [70 in together, 5 in second] == [False, False]  # shard 1 begins at id 65
    pairdex.remove(folder / "shards/00002", where="true", reason="all of it")
    assert len(together) == 194 - 43
    found = together.nearest(queries(1, 3), 194).ids
    assert not np.isin(found, [5, 66, 70]).any()
    assert found.max() < 156
    assert (found >= 0).sum(axis=1).tolist() == [len(together)] * 3
    pairdex.remove(folder, urls=["https://example.org/3/1.jpg"], reason="takedown")
    assert len(together) == 194 - 43 - 1  # the other row with this address was removed before


def test_removed_rows_that_come_back_are_an_error_not_a_result(twins, tmp_path):
    folder = shutil.copytree(twins.shards, tmp_path / "s")
    opened = pairdex.open(folder)
    (folder / "shards/00001/removed.arrow").unlink()
    with pytest.raises(pairdex.PairdexError, match=r"00001/removed.arrow is missing"):
        len(opened)
    with pytest.raises(pairdex.PairdexError, match=r"removed.arrow is missing"):
        opened.reopened()


def test_a_projection_is_refused_where_it_is_asked_for(both):
    with pytest.raises(InvalidArgument, match="has no projection pca32"):
        both[1].search(like=1, on="pca32")


def test_a_reopened_or_unpickled_collection_is_sharded_still(both):
    import pickle

    for again in (both[1].reopened(), pickle.loads(pickle.dumps(both[1]))):
        assert (len(again), again.name) == (196, "shards")


def test_a_shard_that_is_missing_is_named_with_what_to_do(twins, tmp_path, run):
    folder = shutil.copytree(twins.shards, tmp_path / "s")
    shutil.rmtree(folder / "shards/00002")
    said = run("search", folder, "--like", 1)
    assert said.status == 1
    assert f"{folder}/shards/00002 is missing, a shard of {folder}; restore it" in said.complaint
