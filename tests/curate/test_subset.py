"""Subsets: the rows that were asked for, in the stated order of the options; searching them is searching the filter."""

import re

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pairdex
from full_disk import run_with_small_files
from pairdex.curate.subset import SubsetRule, choose
from pairdex.curate.subset import make_subset as subset
from pairdex.errors import InvalidArgument, InvalidPredicate
from pairdex.store.sample import draw
from pairdex.store.store import Store


def origins(store):
    table = store.take(np.arange(store.rows), ["part", "row"])
    return list(zip(table["part"].to_pylist(), table["row"].to_pylist(), strict=True))


def chosen(store, **rule):
    return np.flatnonzero(choose(store, SubsetRule(**rule), None)).tolist()


def test_without_options_all_rows_are_kept(collection):
    assert chosen(Store(collection)) == list(range(60))


def test_parts_are_those_of_the_release(make_parts, build, tmp_path):
    build(make_parts(3, 2, 4, numbers=[7, 9, 30]), tmp_path / "c", skip_incomplete=True)
    store = Store(tmp_path / "c")
    assert chosen(store, parts=frozenset({9, 30})) == [3, 4, 5, 6, 7, 8]
    with pytest.raises(
        InvalidArgument, match=r"c has no part 8,10-11; it has rows of the parts 7,9,30"
    ):
        chosen(store, parts=frozenset({7, 8, 10, 11}))


def test_the_options_are_applied_in_their_order(collection):
    store = Store(collection)
    keep = np.zeros(60, np.bool_)
    keep[0:30:2] = True  # of part 0, by the filter
    keep[[4, 8]] = False  # by the file
    drawn = np.flatnonzero(draw(keep, 6, seed=5))
    rule = SubsetRule(
        parts=frozenset({0}), where="row % 2 = 0", without=None, sample=6, seed=5, limit=4
    )
    found = choose(store, rule, np.array([4, 8]))
    assert np.flatnonzero(found).tolist() == drawn[:4].tolist()


def test_the_manifest_says_the_rule_and_nothing_else(collection, tmp_path):
    (tmp_path / "ids.txt").write_text("1\n2\n")
    pairdex.subset(
        collection,
        tmp_path / "new",
        parts=frozenset({0, 1}),
        where="id > 0",
        without=tmp_path / "ids.txt",
        sample=9,
        limit=8,
    )
    origin = Store(tmp_path / "new").manifest.origin
    checksum = origin.rule.pop("without_checksum")
    assert len(checksum) == 32
    assert origin.rule == {
        "command": "subset",
        "parts": "0-1",
        "where": "id > 0",
        "without_ids": 2,
        "sample": 9,
        "seed": 0,
        "limit": 8,
    }
    pairdex.subset(collection, tmp_path / "all")
    assert Store(tmp_path / "all").manifest.origin.rule == {"command": "subset"}


def test_queries_are_held_out_by_their_own_file(collection, tmp_path):
    pairdex.queries(collection, tmp_path / "q.h5", n=7, seed=1)
    assert pairdex.subset(collection, tmp_path / "new", without=tmp_path / "q.h5").rows == 53
    with h5py.File(tmp_path / "q.h5") as file:
        ids, vectors = file["ids"][()], file["emb"][()].astype(np.float32)
    left = np.setdiff1d(np.arange(60), ids)
    expected, _ = pairdex.open(collection).nearest(vectors, k=1)
    assert expected[:, 0].tolist() == ids.tolist()
    made = pairdex.open(tmp_path / "new")
    assert made.take(np.arange(53))["url"] == Store(collection).take(left)["url"]
    assert (made.nearest(vectors, k=1)[1] > 1e-3).all()


filters = st.sampled_from(
    ["width % 3 = 1", "nsfw = 'UNSURE'", "part <> 1", "height > 60 OR part = 2", "row < 25"]
)
SLOW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SLOW
@given(where=filters, k=st.integers(1, 12))
def test_searching_a_subset_is_searching_with_its_filter(collection, tmp_path_factory, where, k):
    new = tmp_path_factory.mktemp("subset") / "new"
    pairdex.subset(collection, new, where=where)
    whole, made = pairdex.open(collection), pairdex.open(new)
    kept = np.flatnonzero(Store(collection).mask(where))
    queries = np.random.default_rng(k).standard_normal((5, 8)).astype(np.float32)
    for on in ("image", "text"):
        expected_ids, expected = whole.nearest(queries, k=k, on=on, where=where)
        ids, distances = made.nearest(queries, k=k, on=on)
        np.testing.assert_array_equal(np.where(ids < 0, -1, kept[ids]), expected_ids)
        np.testing.assert_array_equal(distances, expected)


@SLOW
@given(first=filters, second=filters)
def test_a_subset_of_a_subset_has_the_rows_of_both_filters(
    collection, tmp_path_factory, first, second
):
    folder = tmp_path_factory.mktemp("subset")
    pairdex.subset(collection, folder / "both", where=f"({first}) AND ({second})")
    pairdex.subset(collection, folder / "one", where=first)
    pairdex.subset(folder / "one", folder / "other", where=second)
    both, other = Store(folder / "both"), Store(folder / "other")
    assert origins(other) == origins(both)
    np.testing.assert_array_equal(other.vectors("text")[:], both.vectors("text")[:])


def test_an_empty_result_is_refused(collection, tmp_path):
    with pytest.raises(InvalidArgument, match=r"no row of .* is left by subset where=false"):
        pairdex.subset(collection, tmp_path / "new", where="false")
    with pytest.raises(
        InvalidArgument, match=r"sample is 3 rows, .* at most 0, the rows to draw from"
    ):
        pairdex.subset(collection, tmp_path / "new", where="false", sample=3)
    assert not (tmp_path / "new").exists()


def test_a_rule_that_cannot_be_is_refused_before_anything_is_read():
    with pytest.raises(InvalidArgument, match="the limit is 0, expected at least 1 row"):
        SubsetRule(limit=0)
    with pytest.raises(InvalidPredicate):
        SubsetRule(where="SELECT 1")


def test_the_same_rule_again_reads_no_row(collection, tmp_path, monkeypatch):
    store, rule = Store(collection), SubsetRule(where="width > 110", sample=7)
    subset(store, tmp_path / "new", rule)
    monkeypatch.setattr(Store, "mask", lambda *_: pytest.fail("filtered again"))
    assert subset(store, tmp_path / "new", rule).added == 0
    with pytest.raises(InvalidArgument, match="name a new folder"):
        subset(store, tmp_path / "new", SubsetRule(where="width > 110", sample=8))


def test_a_disk_that_is_full_ends_in_one_line_and_the_same_call_goes_on(
    make_parts, build, tmp_path, tree
):
    build(make_parts(500, 700, text=False), tmp_path / "c")
    for limit in (100, 10_000):
        ended = run_with_small_files(limit, "subset", tmp_path / "c", tmp_path / "full" / "c")
        assert ended.returncode == 1
        assert re.fullmatch(r"pairdex: cannot write .*; free space and run .*\n", ended.stderr)
        assert not (tmp_path / "full" / "c" / "collection.json").exists()
        assert not list((tmp_path / "full").rglob("*.partial"))
    for place in ("full", "fresh"):
        pairdex.subset(tmp_path / "c", tmp_path / place / "c")
    assert tree(tmp_path / "full") == tree(tmp_path / "fresh")


def test_a_filter_on_a_computed_column_is_another_rule_when_the_column_changes(
    real_data, collection, tmp_path, build, make_parts
):
    build(make_parts(80, dim=512, text=False, folder="wide parts"), tmp_path / "wide")
    pairdex.score(tmp_path / "wide", nsfw=real_data / "heads" / "laion_nsfw_head_ViT-B-32.npz")
    pairdex.subset(tmp_path / "wide", tmp_path / "new", where="punsafe < 2")
    assert "computed_punsafe" in Store(tmp_path / "new").manifest.origin.rule
    assert pairdex.subset(tmp_path / "wide", tmp_path / "new", where="punsafe < 2").added == 0
    pairdex.score(
        tmp_path / "wide", aesthetic=real_data / "heads" / "laion_aesthetic_linear_vit_b_32.npz"
    )
    with pytest.raises(InvalidArgument, match="name a new folder"):
        pairdex.subset(tmp_path / "wide", tmp_path / "new", where="punsafe < 2")


def test_the_command_prints_what_it_made(collection, tmp_path, run):
    arguments = ["subset", collection, tmp_path / "new", "--parts", "0,2", "--where", "row < 9"]
    done = run(*arguments, "--sample", 10, "--seed", 2, "--limit", 8, "--json")
    assert (done.status, done.json["rows"], done.json["added"], done.json["parts"]) == (0, 8, 8, 2)
    again = run(*arguments, "--sample", 10, "--seed", 2, "--limit", 8)
    assert (again.status, "rows        8" in again.out, "added       0" in again.out) == (0, 1, 1)
    told = run("info", tmp_path / "new").out
    assert re.search(r"^made of +collection \(.{12}\), command subset, parts 0,2", told, re.M)
    assert run("info", tmp_path / "new", "--json").json["origin"]["rule"]["seed"] == 2
    assert "name a new folder" in run(*arguments).complaint


def test_the_command_verifies_and_searches_what_it_made(collection, tmp_path, run):
    assert run("subset", collection, tmp_path / "new", "--limit", 40).status == 0
    assert run("verify", tmp_path / "new").status == 0
    found = run("search", tmp_path / "new", "--like", 35, "-k", 39, "--json").json["hits"]
    assert {hit["id"] for hit in found} == set(range(40)) - {35}
