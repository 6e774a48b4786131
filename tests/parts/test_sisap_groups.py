"""SISAP's files since 2025: vectors in `train`, queries and neighbours in groups, from build to recall."""

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import UnsupportedFormat
from pairdex.files.query_files import read_queries
from pairdex.knn.distance import normalise


@pytest.fixture(params=["float16", "float32"])
def benchmark(request, tmp_path):
    """A file of 200 rows of 12 dimensions, with two groups of queries and the graph of the rows."""
    rng = np.random.default_rng(0)
    rows = normalise(rng.standard_normal((200, 12))).astype(np.float16)
    path = tmp_path / "benchmark-dev-small.h5"
    with h5py.File(path, "w") as file:
        file["train"] = rows.astype(request.param)
        for group, seed in (("itest", 1), ("otest", 2)):
            queries = normalise(np.random.default_rng(seed).standard_normal((20, 12)))
            similarities = queries.astype(np.float32) @ normalise(rows).T
            order = np.argsort(-similarities, axis=1)[:, :40]
            file[f"{group}/queries"] = queries.astype(request.param)
            file[f"{group}/knns"] = (order + 1).astype(np.int32)
            file[f"{group}/dists"] = np.take_along_axis(similarities, order, axis=1)
        similarities = normalise(rows) @ normalise(rows).T
        order = np.argsort(-similarities, axis=1)[:, :32]
        file["allknn/knns"] = (order + 1).astype(np.int32)
        file["allknn/dists"] = 1 - np.take_along_axis(similarities, order, axis=1)
    return path


def test_a_file_becomes_a_collection_that_its_own_gold_standards_confirm(benchmark, run, tmp_path):
    out = run("build", benchmark, tmp_path / "c", "--json")
    assert (out.status, out.json["rows"]) == (0, 200), out.err
    for group in ("itest", "otest"):
        found = tmp_path / f"{group}.h5"
        out = run(
            "search", tmp_path / "c", "--vectors", f"{benchmark}:{group}", "-k", 30, "--out", found
        )
        assert out.status == 0, out.err
        out = run("evaluate", found, f"{benchmark}:{group}", "-k", 30, "--json")
        assert out.json["runs"][0]["recall"] > 0.99
        assert any("similarities" in note for note in out.json["notes"])
    pairdex.graph(tmp_path / "c", tmp_path / "graph.h5", exact=True)
    graph = pairdex.evaluate(tmp_path / "graph.h5", f"{benchmark}:allknn", k=15)
    assert graph.runs[0].recall > 0.99


def test_queries_of_a_group_are_named_in_two_ways(benchmark):
    with h5py.File(benchmark) as file:
        expected = file["otest/queries"][()].astype(np.float32)
    np.testing.assert_array_equal(read_queries(f"{benchmark}:otest"), expected)
    np.testing.assert_array_equal(read_queries(f"{benchmark}:otest/queries"), expected)


def test_sparse_vectors_are_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "nq.h5", "w") as file:
        file["train/indptr"] = np.array([0, 1])
    with pytest.raises(UnsupportedFormat, match="sparse vectors in the group train"):
        pairdex.build(tmp_path / "nq.h5", tmp_path / "c")
