"""Queries are projected with the collection's model and written as SISAP files."""

import h5py
import numpy as np
import pytest

from pairdex.derived.projections.files import open_projection
from pairdex.store.store import Store


@pytest.fixture
def queries(tmp_path):
    np.save(tmp_path / "q.npy", np.random.default_rng(3).standard_normal((7, 8)))
    return tmp_path / "q.npy"


def test_the_file_has_one_dataset_named_after_the_projection(collection, queries, run, tmp_path):
    out = run(
        "project", collection, "pca3", "--queries", queries, "--out", tmp_path / "p.h5", "--json"
    )
    assert out.json.keys() >= {"rows", "dim", "explained_variance", "recall_ceiling", "seconds"}
    assert (out.json["rows"], out.json["dim"], out.json["recall_ceiling"]) == (60, 3, None)
    projection = open_projection(Store(collection), "pca3")
    with h5py.File(tmp_path / "p.h5") as file:
        assert list(file) == ["pca3"]
        assert file["pca3"].dtype == np.float32
        np.testing.assert_array_equal(file["pca3"][()], projection.apply(np.load(queries)))
        assert file.attrs["model_checksum"] == projection.record.model.checksum


def test_the_command_prints_what_was_done(collection, queries, run, tmp_path):
    out = run(
        "project",
        collection,
        "pca3",
        "--fit-rows",
        50,
        "--queries",
        queries,
        "--out",
        tmp_path / "p.h5",
    )
    assert out.status == 0
    assert "pca3, 3 components" in out.out
    assert "50 rows" in out.out
    assert "explained" in out.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--queries", "q.npy"], "without --out or --ceiling; name the file"),
        (["--out", "p.h5"], "--out is given without --queries"),
        (["--queries", "q.npy", "--out", "p.npy"], "expected a name that ends in .h5"),
        (["--queries", "wide.npy", "--out", "p.h5"], "vectors of 5 dimensions"),
        (["--queries", "zero.npy", "--out", "p.h5"], "query 1 is all zero"),
        (["--queries", "no.npy", "--out", "p.h5"], "no.npy does not exist"),
    ],
)
def test_wrong_queries_are_refused_before_anything_is_projected(
    collection, queries, run, tmp_path, monkeypatch, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.ones((2, 5)))
    np.save("zero.npy", np.array([np.ones(8), np.zeros(8)]))
    assert complaint in run("project", collection, "pca3", *arguments).complaint
    assert not (collection / "projections").exists()
