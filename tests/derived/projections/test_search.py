"""Searches in projections find the nearest rows for every form of query and every filter."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.derived.projections.files import MANIFEST, open_projection
from pairdex.derived.projections.search import nearest_projected, to_space
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.knn.distance import cosine_distance
from pairdex.store.store import Store


@pytest.fixture
def pca(collection):
    pairdex.project(collection, "pca3")
    return open_projection(Store(collection), "pca3")


@pytest.fixture
def sketch(collection):
    pairdex.project(collection, "hamming")
    return open_projection(Store(collection), "hamming")


@pytest.fixture
def queries():
    return np.random.default_rng(9).standard_normal((5, 8)).astype(np.float32)


def brute_force(projection, points, k, allowed=None):
    rows = np.concatenate(projection.blocks)
    if points.dtype == np.uint64:
        distances = np.bitwise_count(points[:, None] ^ rows).sum(axis=2).astype(float)
    else:
        distances = ((points[:, None].astype(float) - rows) ** 2).sum(axis=2)
    if allowed is not None:
        distances[:, ~allowed] = np.inf
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(distances, ids, axis=1)


def assert_near(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)


def test_vectors_are_projected_and_projected_queries_are_not(pca, queries):
    points = pca.apply(queries)
    expected = brute_force(pca, points, 7)
    assert_near(nearest_projected(pca, queries, 7), expected)
    assert_near(nearest_projected(pca, points, 7), expected)
    assert_near(nearest_projected(pca, points.astype(np.float64), 7), expected)


def test_sketches_are_searched_by_vectors_and_by_words(sketch, queries):
    words = sketch.apply(queries)
    expected = brute_force(sketch, words, 7)
    for asked in (queries, words):
        ids, distances = nearest_projected(sketch, asked, 7)
        assert distances.dtype == np.float64
        assert_near((ids, distances), expected)
    _, distances = nearest_projected(sketch, words, 61)
    assert np.isposinf(distances[:, 60]).all()
    for wrong in (words[:, :1], queries[:, :2], queries.astype(np.uint64)):
        with pytest.raises(Mismatch, match=r"or projected queries, uint64 \(n, 16\)"):
            to_space(sketch, wrong)


@pytest.mark.parametrize("shape", [(5, 4), (5, 9), (8,), (1, 5, 8)])
def test_queries_of_another_shape_are_refused(pca, shape):
    with pytest.raises(
        Mismatch, match=r"pca3 expects vectors \(n, 8\), or projected queries, float32 \(n, 3\)"
    ):
        to_space(pca, np.ones(shape, np.float32))


@pytest.mark.parametrize(("width", "value"), [(8, 0.0), (8, np.nan), (3, np.inf)])
def test_zero_and_non_finite_queries_are_refused(pca, width, value):
    with pytest.raises(InvalidArgument, match="query 1 is"):
        to_space(pca, np.float32([[1] * width, [value] * width]))


def test_a_collection_is_searched_in_a_projection(collection, pca, queries):
    opened = pairdex.open(collection)
    found = opened.nearest(queries, 7, on="pca3")
    assert found[1].dtype == np.float32
    assert_near(found, brute_force(pca, pca.apply(queries), 7))
    assert not opened.nearest(queries, 7, on="pca3").report.exact
    assert not (collection / "indexes").exists()  # searching a projection needs no codes
    assert opened.nearest(queries, 7).report.exact
    assert opened.projections == ["pca3"]


def test_only_rows_that_pass_the_filter_and_are_not_removed_are_found(collection, pca, queries):
    opened = pairdex.open(collection)
    pairdex.remove(collection, ids=[3, 31], reason="takedown")
    allowed = np.arange(60) >= 2
    allowed[[3, 31]] = False
    found = opened.nearest(queries, 58, on="pca3", where="id >= 2")
    expected = brute_force(pca, pca.apply(queries), 58, allowed)
    np.testing.assert_array_equal(found[0][:, :56], expected[0][:, :56])
    assert (found[0][:, 56:] == -1).all()
    assert np.isposinf(found[1][:, 56:]).all()


def test_hits_have_the_distance_of_the_space_and_the_true_cosine(collection, pca):
    opened = pairdex.open(collection)
    vector = np.random.default_rng(3).standard_normal(8).astype(np.float32)
    hits = opened.search(vector=vector, on="pca3", k=9, offset=2)
    ids, distances = brute_force(pca, pca.apply(vector[None]), 11)
    np.testing.assert_array_equal(hits["id"], ids[0, 2:])
    np.testing.assert_allclose(hits["distance"], distances[0, 2:], rtol=1e-5)
    cosines = 1 - cosine_distance(vector, opened.vectors()[ids[0, 2:]])
    np.testing.assert_allclose(hits["similarity"], cosines, atol=1e-6)


def test_a_row_does_not_find_itself(collection, pca):
    hits = pairdex.open(collection).search(like=33, on="pca3", k=60)
    ids, _ = brute_force(pca, pca.blocks[1][3:4], 60)
    assert ids[0, 0] == 33
    assert hits["id"].to_pylist() == ids[0, 1:].tolist()


def test_a_pca_of_all_dimensions_finds_the_cosine_neighbours(collection, queries):
    # |x - q|^2 = 2 (1 - cos), so with all 8 components the order is that of the cosine distance.
    pairdex.project(collection, "pca8")
    opened = pairdex.open(collection)
    ids, distances = opened.nearest(queries, 60, on="pca8")
    exact_ids, exact = opened.nearest(queries, 60)
    np.testing.assert_array_equal(ids, exact_ids)
    np.testing.assert_allclose(distances, 2 * exact, atol=1e-5)


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("pca4", r"has no projection pca4, it has image, text, pca3; make it with pairdex project"),
        ("hamming", r"has no projection hamming, it has image, text, pca3"),
        ("sound", r"has no 'sound' vectors to search; it has image, text, pca3"),
        ("../pca3", r"has no '../pca3' vectors to search"),
    ],
)
def test_a_missing_projection_is_an_error_that_lists_the_existing_ones(
    collection, pca, queries, on, message
):
    opened = pairdex.open(collection)
    for search in (
        lambda: opened.nearest(queries, 3, on=on),
        lambda: opened.search(like=1, on=on),
        lambda: opened.prepare(on),
        lambda: pairdex.gold(collection, "absent.npy", "gold.h5", k=3, on=on),
    ):
        with pytest.raises(InvalidArgument, match=message) as raised:
            search()
        assert raised.value.field == "on"


def test_a_damaged_or_outdated_projection_is_refused(collection, pca, make_parts, build, queries):
    manifest = collection / "projections" / "pca3" / MANIFEST
    kept = manifest.read_bytes()
    manifest.write_bytes(kept.replace(b"pca3", b"pca4"))
    with pytest.raises(DamagedFile):
        pairdex.open(collection).nearest(queries, 3, on="pca3")
    manifest.write_bytes(kept)
    build(make_parts(5, folder="more", numbers=[7]), collection)
    with pytest.raises(Mismatch, match="run pairdex project"):
        pairdex.open(collection).nearest(queries, 3, on="pca3")


def test_sketches_are_not_accepted_as_vectors(collection):
    with pytest.raises(Mismatch, match="binary sketches"):
        pairdex.open(collection).nearest(np.ones((1, 8), np.uint64), 3)


def test_the_command_searches_in_a_projection(collection, pca, queries, run, tmp_path):
    np.save(tmp_path / "q.npy", queries)
    given = ["search", collection, "--vectors", tmp_path / "q.npy", "-k", 4, "--on", "pca3"]
    found = run(*given, "--json").json
    expected = brute_force(pca, pca.apply(queries), 4)
    assert_near((found["ids"], found["distances"]), expected)
    assert (found["exact"], found["on"], found["certified"]) == (False, "pca3", True)
    np.save(tmp_path / "projected.npy", pca.apply(queries))
    given[3] = tmp_path / "projected.npy"
    assert run(*given, "--json").json["ids"] == found["ids"]
    hits = run("search", collection, "--like", 5, "--on", "pca3", "--json").json
    assert (hits["exact"], hits["on"]) == (False, "pca3")
    assert len(hits["hits"]) == 10
    table = run("search", collection, "--like", 5, "--on", "pca3").out
    assert table.split()[:4] == ["id", "distance", "similarity", "caption"]
    refused = run("search", collection, "--like", 5, "--on", "pca7")
    assert refused.complaint.endswith(f"make it with pairdex project {collection} pca7")
    assert run("search", collection, "--like", 5, "--on", "sound").status == 2


def test_the_command_searches_sketches(collection, sketch, queries, run, tmp_path):
    words = sketch.apply(queries)
    expected = brute_force(sketch, words, 4)
    np.save(tmp_path / "vectors.npy", queries)
    np.save(tmp_path / "words.npy", words)
    with h5py.File(tmp_path / "words.h5", "w") as file:
        file["hamming"] = words
    for name in ("vectors.npy", "words.npy", "words.h5"):
        given = ["search", collection, "--vectors", tmp_path / name, "-k", 4, "--on", "hamming"]
        found = run(*given, "--json").json
        assert_near((found["ids"], found["distances"]), expected)
    bits = " ".join(
        f"{i}:{bits:.0f}" for i, bits in zip(expected[0][0], expected[1][0], strict=True)
    )
    assert run(*given).out.splitlines()[0] == f"0  {bits}"
    gold = ["gold", collection, tmp_path / "words.h5", "--out", tmp_path / "gold.h5", "-k", 3]
    assert run(*gold, "--on", "hamming").status == 0
    with h5py.File(tmp_path / "gold.h5") as file:
        np.testing.assert_array_equal(file["knns"][()] - 1, expected[0][:, :3])
        assert file.attrs["distance"] == "differing bits"
    refused = run("search", collection, "--vectors", tmp_path / "words.npy")
    assert "expected (n, 8)" in refused.complaint


def test_result_files_record_the_space(collection, pca, queries, run, tmp_path):
    np.save(tmp_path / "q.npy", queries)
    out = tmp_path / "found.h5"
    given = ["search", collection, "--vectors", tmp_path / "q.npy", "-k", 4, "--on", "pca3"]
    assert run(*given, "--out", out).status == 0
    expected = brute_force(pca, pca.apply(queries), 4)
    with h5py.File(out) as file:
        assert_near((file["knns"][()] - 1, file["dists"][()]), expected)
        assert file.attrs["algo"] == "pairdex pca3"
        assert file.attrs["params"] == "k=4 on=pca3 method=pca"


def test_a_gold_standard_of_a_projection_records_it(collection, pca, queries, run, tmp_path):
    np.save(tmp_path / "q.npy", queries)
    given = [collection, tmp_path / "q.npy", "--out", tmp_path / "gold.h5", "-k", 6]
    report = run("gold", *given, "--on", "pca3", "--json").json
    expected = brute_force(pca, pca.apply(queries), 6)
    with h5py.File(tmp_path / "gold.h5") as file:
        assert_near((file["knns"][()] - 1, file["dists"][()]), expected)
        assert file.attrs["on"] == "pca3"
        assert file.attrs["distance"] == "squared Euclidean"
        assert file.attrs["model_checksum"] == pca.record.model.checksum
    assert (report["n"], report["k"], report["certified"]) == (5, 6, True)
    refused = run("gold", *given, "--on", "pca3", "--device", "cuda")
    assert refused.complaint == "a device searches image or text, not pca3"
