"""A gold standard holds the exact neighbours, says what it was made from, and counts its ties."""

import h5py
import numpy as np
import pytest

from pairdex.derived.codes import open_or_build_codes
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files.query_files import Queries
from pairdex.knn.distance import cosine_distance
from pairdex.reference.gold import write_gold as make_gold
from pairdex.store.store import Store


@pytest.fixture
def store(collection):
    return Store(collection)


@pytest.fixture
def queries():
    return np.random.default_rng(9).standard_normal((11, 8)).astype(np.float32)


def gold(store, vectors, out, **options):
    return make_gold(store, Queries(vectors, {}), out, **options)


def read(path):
    with h5py.File(path) as file:
        return file["knns"][()], file["dists"][()], dict(file.attrs)


def brute_force(store, queries, k):
    distances = cosine_distance(queries[:, None], store.vectors("image")[:][None])
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.mark.parametrize("by_codes", [False, True])
def test_the_file_is_sisaps_with_ids_from_one_and_the_true_neighbours(
    store, queries, tmp_path, by_codes
):
    codes = open_or_build_codes(store, "image") if by_codes else None
    report = gold(store, queries, tmp_path / "gold.h5", k=7, codes=codes)
    knns, dists, attributes = read(tmp_path / "gold.h5")
    expected_ids, expected = brute_force(store, queries, 7)
    assert (knns.dtype, dists.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(knns, expected_ids + 1)
    np.testing.assert_allclose(dists, expected, atol=1e-6)
    assert report.certified
    assert (report.n, report.k) == (11, 7)
    assert attributes["collection_checksum"] == store.manifest.checksum
    assert attributes["k"] == 7
    assert attributes["on"] == "image"


def test_ties_at_k_and_near_duplicates_are_counted_by_query(write_part, build, tmp_path):
    # Three equal rows, then others: k = 2 cuts through the tie of the first query only.
    image = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [-1, 0]], np.float16)
    columns = {"url": ["u"] * 5}
    write_part(tmp_path / "parts", 0, image, None, columns)
    build(tmp_path / "parts", tmp_path / "c")
    queries = np.array([[1, 0], [-1, 0.1]], np.float32)
    report = gold(Store(tmp_path / "c"), queries, tmp_path / "gold.h5", k=2)
    assert (report.ties, report.near_duplicates) == (1, 1)


def test_k_of_all_rows_is_possible_and_more_is_refused(store, queries, tmp_path):
    assert gold(store, queries, tmp_path / "gold.h5", k=60).k == 60
    with pytest.raises(InvalidArgument, match=r"k is 61, .* has 60 rows"):
        gold(store, queries, tmp_path / "more.h5", k=61)
    assert not (tmp_path / "more.h5").exists()


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_one_is_refused_and_nothing_written(collection, queries, run, tmp_path, k):
    np.save(tmp_path / "q.npy", queries)
    out = run("gold", collection, tmp_path / "q.npy", "--out", tmp_path / "gold.h5", "-k", k)
    assert f"k is {k}, expected 1 to" in out.complaint
    assert not (tmp_path / "gold.h5").exists()


def test_queries_of_another_dimension_are_refused(store, tmp_path):
    with pytest.raises(Mismatch, match=r"shape \(1, 5\), expected \(n, 8\)"):
        gold(store, np.ones((1, 5), np.float32), tmp_path / "gold.h5", k=1)
    assert not (tmp_path / "gold.h5").exists()


def test_the_command_says_what_it_found_and_that_it_is_certified(
    collection, queries, run, tmp_path
):
    np.save(tmp_path / "q.npy", queries)
    out = run("gold", collection, tmp_path / "q.npy", "--out", tmp_path / "g.h5", "-k", 5, "--json")
    assert out.status == 0
    assert {"n", "k", "ties", "near_duplicates", "certified", "seconds"} <= out.json.keys()
    assert (out.json["n"], out.json["k"], out.json["certified"]) == (11, 5, True)
    assert (collection / "indexes/image/codes").is_file()


def test_the_command_without_codes_writes_none_and_finds_the_same(
    collection, queries, run, tmp_path
):
    np.save(tmp_path / "q.npy", queries)
    base = ("gold", collection, tmp_path / "q.npy", "-k", 5)
    assert run(*base, "--out", tmp_path / "a.h5", "--no-codes").status == 0
    assert not (collection / "indexes").exists()
    assert run(*base, "--out", tmp_path / "b.h5").status == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_another_suffix_is_refused(collection, queries, run, tmp_path):
    np.save(tmp_path / "q.npy", queries)
    out = run("gold", collection, tmp_path / "q.npy", "--out", tmp_path / "gold.parquet", "-k", 5)
    assert "expected a name that ends in .h5" in out.complaint


def test_a_bad_k_is_told_before_codes_are_made(collection, queries, run, tmp_path):
    np.save(tmp_path / "q.npy", queries)
    out = run("gold", collection, tmp_path / "q.npy", "--out", tmp_path / "gold.h5", "-k", 61)
    assert "k is 61" in out.complaint
    assert not (collection / "indexes").exists()


def test_the_file_names_its_queries_and_their_kind(store, queries, tmp_path):
    asked = Queries(queries, {"kind": "text", "seed": 3}, None)
    make_gold(store, asked, tmp_path / "gold.h5", k=2)
    _, _, attributes = read(tmp_path / "gold.h5")
    assert attributes["kind"] == "text"
    assert attributes["queries_checksum"] == asked.checksum
    assert attributes["queries"] == 11
    assert "seed" not in attributes


def test_kinds_of_single_queries_are_kept(store, queries, tmp_path):
    kinds = np.array(["image"] * 5 + ["text"] * 6)
    make_gold(store, Queries(queries, {}, kinds), tmp_path / "gold.h5", k=2)
    with h5py.File(tmp_path / "gold.h5") as file:
        assert file["kind"].asstr()[()].tolist() == kinds.tolist()


def test_a_large_k_is_found_in_small_blocks_with_the_same_answer(
    store, queries, tmp_path, monkeypatch
):
    gold(store, queries, tmp_path / "at-once.h5", k=50)
    monkeypatch.setattr("pairdex.reference.gold._BLOCK_NEIGHBOURS", 2 * 51)
    calls = []
    gold(store, queries, tmp_path / "blocks.h5", k=50, progress=lambda *at: calls.append(at))
    assert calls == [(2, 11), (4, 11), (6, 11), (8, 11), (10, 11), (11, 11)]
    assert (tmp_path / "at-once.h5").read_bytes() == (tmp_path / "blocks.h5").read_bytes()


def test_no_queries_are_refused(store, tmp_path):
    with pytest.raises(InvalidArgument, match="there are no queries"):
        gold(store, np.empty((0, 8), np.float32), tmp_path / "gold.h5", k=1)
    assert not (tmp_path / "gold.h5").exists()
