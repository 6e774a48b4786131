"""SISAP's task of inner products, from its HDF5 file through build, gold and search to the evaluation."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument

N, DIM, QUERIES, K = 3_000, 24, 25, 30


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A file as of 2026's task 2: rows of many lengths in `train`, queries unlike them in groups."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("sisap") / "keys-dev.h5"
    rows = (rng.standard_normal((N, DIM)) + 3 * rng.standard_normal(DIM)).astype(np.float32)
    rows *= rng.lognormal(0, 0.5, (N, 1)).astype(np.float32)
    rows = rows.astype(np.float16).astype(
        np.float32
    )  # what float16 holds, so that ties decide nothing
    with h5py.File(path, "w") as file:
        file["train"] = rows
        for group in ("itest", "test"):
            queries = (9 * rng.standard_normal((QUERIES, DIM)) + 1).astype(np.float32)
            products = queries.astype(np.float64) @ rows.T.astype(np.float64)
            order = np.argsort(-products, axis=1)[:, : 2 * K]
            file[f"{group}/queries"] = queries
            file[f"{group}/knns"] = (order + 1).astype(np.int32)
            file[f"{group}/dists"] = np.take_along_axis(products, order, axis=1).astype(np.float32)
    return path


@pytest.fixture(scope="module")
def collection(keys):
    pairdex.build(keys, keys.parent / "c", metric="ip")
    return keys.parent / "c"


def truth_of(keys, group="test"):
    with h5py.File(keys) as file:
        queries, rows = file[f"{group}/queries"][()], file["train"][()]
        return queries, rows, file[f"{group}/knns"][()] - 1


def test_from_the_file_to_its_own_gold_standard(keys, run, tmp_path):
    c = tmp_path / "c"
    assert run("build", keys, c, "--metric", "ip", "--json").json["rows"] == N
    for group in ("itest", "test"):
        asked = f"{keys}:{group}"
        told = run("gold", c, asked, "--out", tmp_path / f"gold-{group}.h5", "-k", K, "--json").json
        assert (told["certified"], told["near_duplicates"]) == (True, None)
        out = tmp_path / f"{group}.h5"
        assert run("search", c, "--vectors", asked, "-k", K, "--out", out).status == 0
        for gold in (asked, tmp_path / f"gold-{group}.h5"):
            runs = run("evaluate", out, gold, "-k", K, "--json").json["runs"]
            assert runs[0]["recall"] == 1.0


def test_the_files_state_the_measure(keys, collection, tmp_path):
    pairdex.gold(collection, f"{keys}:test", tmp_path / "gold.h5", k=K)
    queries, rows, knns = truth_of(keys)
    with h5py.File(tmp_path / "gold.h5") as file:
        assert file.attrs["distance"] == "negative inner product"
        assert not file.attrs["normalised"]
        assert "near_duplicates" not in file.attrs
        assert (file["knns"][()] - 1 == knns[:, :K]).all()
        expected = -np.einsum("nd,nkd->nk", queries.astype(np.float64), rows[knns[:, :K]])
        np.testing.assert_allclose(file["dists"][()], expected, rtol=1e-6)


def test_python_finds_them_with_and_without_codes(keys, collection):
    queries, _, knns = truth_of(keys)
    for use_codes in (True, False):
        c = pairdex.Collection.open(collection, use_codes=use_codes)
        found = c.nearest(queries, K, metric="ip")
        assert (found.ids == knns[:, :K]).all()
        assert found.report.certified
        assert (found.report.scanned > 0) == use_codes
    assert c.metric == "ip"
    assert c.info().metric == "ip"


def test_a_search_keeps_the_lengths_of_rows_and_of_the_vector(keys, collection):
    queries, rows, knns = truth_of(keys)
    c = pairdex.open(collection)
    hits = c.search(vector=queries[0], k=3)
    assert hits["id"].to_pylist() == knns[0, :3].tolist()
    products = rows[knns[0, :3]].astype(np.float64) @ queries[0].astype(np.float64)
    np.testing.assert_allclose(hits["similarity"].to_numpy(), products, rtol=1e-12)
    np.testing.assert_allclose(hits["distance"].to_numpy(), -products, rtol=1e-12)
    like = c.search(like=5, k=3)["similarity"].to_numpy()
    wide = rows.astype(np.float64)
    others = np.delete(wide @ wide[5], 5)
    np.testing.assert_allclose(like, np.sort(others)[::-1][:3], rtol=1e-12)


def test_the_product_with_a_sum_of_terms_is_the_sum_of_products(keys, collection):
    queries, rows, _ = truth_of(keys)
    terms = [pairdex.Term(vector=queries[0], weight=2), pairdex.Term(vector=queries[1], weight=-1)]
    hits = pairdex.open(collection).search(terms=terms, k=4)
    products = rows.astype(np.float64) @ (2 * queries[0] - queries[1]).astype(np.float64)
    assert hits["id"].to_pylist() == np.argsort(-products)[:4].tolist()
    cancelling = [pairdex.Term(vector=queries[0]), pairdex.Term(vector=queries[0], weight=-1)]
    with pytest.raises(InvalidArgument, match="the terms cancel each other out"):
        pairdex.open(collection).search(terms=cancelling)


def test_another_metric_than_the_collections_is_refused(keys, collection):
    queries, *_ = truth_of(keys)
    with pytest.raises(InvalidArgument, match="compares vectors by ip"):
        pairdex.open(collection).nearest(queries, 3, metric="cosine")


def test_the_bench_measures_exact_searches_and_adapters_by_products(keys, collection, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "class Mine:\n"
        "    def fit(self, vectors): self.vectors = vectors\n"
        "    def set_query_arguments(self): pass\n"
        "    def batch_query(self, queries, k):\n"
        "        return np.argsort(-(queries @ self.vectors.T), axis=1)[:, :k]\n"
    )
    found = pairdex.bench(
        collection, f"{keys}:test", k=10, repeat=1, out=tmp_path / "out", run=tmp_path / "mine.py"
    )
    assert {run.params for run in found.evaluation.runs} >= {
        "k=10 on=image by=codes metric=ip",
        "k=10 on=image by=rows metric=ip",
    }
    assert [run.recall for run in found.evaluation.runs] == [1.0] * 3


def test_the_default_stays_the_cosine(keys, tmp_path):
    pairdex.build(keys, tmp_path / "c")
    queries, rows, knns = truth_of(keys)
    found = pairdex.open(tmp_path / "c").nearest(queries, K, metric="cosine")
    cosines = queries @ rows.T / np.linalg.norm(rows, axis=1)
    assert (found.ids[:, 0] == np.argmax(cosines, axis=1)).all()
    assert (found.ids != knns[:, :K]).any()
    assert b'"metric"' not in (tmp_path / "c/collection.json").read_bytes()
