"""Anyone's algorithm is measured like our own: in its own process, under limits, its claims checked."""

import os
import sys

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import AdapterFailed, DamagedFile, InvalidArgument, MissingFile

EXACT = """
import numpy as np

class Product:
    name, version, query_arguments = "numpy product", "1.2", (1.0, 0.5)

    def fit(self, vectors):
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        self.vectors = np.array(vectors)

    def set_query_arguments(self, share):
        self.rows, self.params = int(share * len(self.vectors)), f"share={share}"

    def batch_query(self, queries, k):
        return np.argsort(-queries @ self.vectors[: self.rows].T, axis=1, kind="stable")[:, :k]
"""


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.npy"
    np.save(path, 3 * np.random.default_rng(3).standard_normal((12, 8)).astype(np.float32))
    return path


@pytest.fixture
def adapter(tmp_path):
    """A function that writes an adapter."""

    def write(text=EXACT, name="mine.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_an_adapter_is_measured_beside_our_own_methods(collection, queries, adapter, tmp_path):
    found = pairdex.bench(
        collection, queries, k=5, repeat=2, run=adapter(), out=tmp_path / "out", cpus=1
    )
    runs = {run.params: run for run in found.evaluation.runs if run.algo == "numpy product"}
    assert list(runs) == ["k=5 on=image share=1.0", "k=5 on=image share=0.5"]
    assert runs["k=5 on=image share=1.0"].recall == 1.0
    assert 0.2 < runs["k=5 on=image share=0.5"].recall < 0.8
    assert all(run.qps > 0 and run.buildtime > 0 for run in runs.values())
    assert found.threads == 1
    assert found.single[-1] is None
    with h5py.File(runs["k=5 on=image share=1.0"].file) as file:
        facts, dists = dict(file["knns"].attrs), file["dists"][()]
    assert (facts["version"], facts["answered_by"]) == ("1.2", "numpy product")
    assert (facts["threads"], facts["memory_limited_by"]) == (1, "none")
    assert facts["peak_memory_bytes"] > 2**20
    exact = pairdex.open(collection).nearest(np.load(queries), 5).distances
    np.testing.assert_allclose(dists, exact, atol=1e-6)
    if hasattr(os, "sched_getaffinity"):
        assert len(os.sched_getaffinity(0)) >= found.threads


def test_removed_rows_are_not_given_to_it(collection, queries, adapter, run, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(str(i) for i in range(0, 60, 2)))
    assert run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "x").status == 0
    found = pairdex.bench(collection, queries, k=5, repeat=1, run=[adapter()])
    runs = [run for run in found.evaluation.runs if run.algo == "numpy product"]
    assert runs[0].recall == 1.0


def test_one_class_of_several_is_named(collection, queries, adapter):
    path = adapter(EXACT + "\nclass Other(Product):\n    name = ''\n")
    with pytest.raises(AdapterFailed, match=r"expected one class .* found Product, Other"):
        pairdex.bench(collection, queries, k=5, repeat=1, run=path)
    found = pairdex.bench(collection, queries, k=5, repeat=1, run=f"{path}:Other")
    assert found.evaluation.runs[-1].algo == "Other"


def test_more_memory_than_allowed_ends_it_and_says_so(collection, queries, adapter):
    path = adapter(EXACT.replace("self.vectors = ", "self.more = np.ones(2**28); self.vectors = "))
    with pytest.raises(
        AdapterFailed, match=r"mine\.py stopped with .* limited to 500,000,000 bytes"
    ):
        pairdex.bench(collection, queries, k=5, repeat=1, run=path, memory="500MB")
    out = path.parent / "out"
    pairdex.bench(collection, queries, k=5, repeat=1, run=adapter(), memory="500MB", out=out)
    with h5py.File(next(out.rglob("numpy-product-0.h5"))) as file:
        assert file["knns"].attrs["memory_limited_by"] in ("cgroup", "rlimit")
        assert file["knns"].attrs["memory_limit_bytes"] == 500_000_000


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            ("[:, :k]", "[:, :2]"),
            r"returned int64 of shape \(12, 2\) .* expected integers \(12, 5\)",
        ),
        (("[:, :k]", "[:, :k] + 60"), "returned row numbers from 60 to 119, expected 0 to 59"),
    ],
)
def test_what_it_returns_is_checked(collection, queries, adapter, change, complaint):
    with pytest.raises(DamagedFile, match=complaint):
        pairdex.bench(collection, queries, k=5, repeat=1, run=adapter(EXACT.replace(*change)))


def test_an_error_in_it_is_one_line(collection, queries, adapter, run):
    path = adapter(EXACT.replace("self.vectors = ", "raise ValueError('too few'); self.vectors = "))
    out = run("bench", collection, queries, "-k", 5, "--run", path)
    assert out.complaint.endswith("mine.py stopped with ValueError: too few")


def test_wrong_options_are_refused_before_the_work(collection, queries, adapter, tmp_path):
    with pytest.raises(InvalidArgument, match=r"expected FILE\.py"):
        pairdex.bench(collection, queries, run=tmp_path / "a.txt")
    with pytest.raises(MissingFile, match="expected a Python file with an adapter"):
        pairdex.bench(collection, queries, run=tmp_path / "absent.py")
    with pytest.raises(InvalidArgument, match="cpus is 0"):
        pairdex.bench(collection, queries, run=adapter(), cpus=0)
    with pytest.raises(InvalidArgument, match="add --run"):
        pairdex.bench(collection, queries, memory="1GB")


def test_results_of_containers_are_compared_in_the_same_table(collection, queries, run, tmp_path):
    found = pairdex.open(collection).nearest(np.load(queries), 5)
    (tmp_path / "results/task2").mkdir(parents=True)
    theirs = tmp_path / "results/task2/theirs.h5"
    pairdex.write_results(theirs, *found, algo="theirs", querytime=0.5, buildtime=9.0)
    out = run(
        "bench", collection, queries, "-k", 5, "--repeat", 1, "--python", sys.executable,
        "--container-results", tmp_path / "results", "--json",
    )  # fmt: skip
    assert "add --run" in out.complaint
    out = run(
        "bench", collection, queries, "-k", 5, "--repeat", 1,
        "--container-results", tmp_path / "results", "--json",
    )  # fmt: skip
    theirs = out.json["runs"][-1]
    assert (theirs["algo"], theirs["recall"], theirs["single"]) == ("theirs", 1.0, None)
    assert theirs["qps"] == 24.0
