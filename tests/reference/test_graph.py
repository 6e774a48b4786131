"""The k-NN graph: true neighbours where exact is asked for, a measured recall where it is not, SISAP's files."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

import pairdex
from pairdex.errors import InvalidArgument, Mismatch, WriteFailed
from pairdex.knn.distance import normalise
from pairdex.reference import graph as graph_module
from pairdex.reference import graph_rows


def clustered(n, dim, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n // 20 + 1, dim))[rng.integers(0, n // 20 + 1, n)]
    rows = rows + rng.standard_normal((n, dim)) * 0.7
    rows[7::11] = rows[: len(rows[7::11])]  # equal rows
    return rows.astype(np.float16)


def true_distances(rows, k):
    """The k smallest distances of each row to others, (n, k)."""
    unit = normalise(rows)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    return distances, np.sort(distances, axis=1)[:, :k]


@pytest.fixture
def collect(write_part, tmp_path):
    """A function that builds a collection of these rows, in parts of 400."""

    def make(rows):
        for number, first in enumerate(range(0, len(rows), 400)):
            part = rows[first : first + 400]
            columns = {"url": [f"u{first + i}" for i in range(len(part))]}
            write_part(tmp_path / "parts", number, part, None, columns)
        pairdex.build(tmp_path / "parts", tmp_path / "c")
        return tmp_path / "c"

    return make


def read(path, group="/"):
    with h5py.File(path) as file:
        return file[group]["knns"][()], file[group]["dists"][()], dict(file.attrs)


def test_outliers_and_hubs_are_reported_of_every_row(collect, tmp_path):
    rows = clustered(500, 32, seed=3)
    rows[450] = -rows.astype(np.float32).mean(axis=0) * 3
    folder = collect(rows)
    pairdex.remove(folder, ids=[20], reason="test")
    made = pairdex.graph(
        folder, tmp_path / "g.h5", k=6, exact=True, report=tmp_path / "rows.parquet"
    )
    knns, dists, _ = read(tmp_path / "g.h5")
    times = np.bincount(knns[knns > 0] - 1, minlength=500)
    table = pq.read_table(tmp_path / "rows.parquet")
    ids = np.delete(np.arange(500), 20)
    assert table["id"].to_pylist() == ids.tolist()
    assert table["nearest"].to_pylist() == dists[ids, 0].tolist()
    assert table["farthest"].to_pylist() == dists[ids, -1].tolist()
    assert table["neighbour_of"].to_pylist() == times[ids].tolist()
    nearest = dists[:, 0].copy()
    nearest[20] = -1
    expected = sorted(range(500), key=lambda row: (-nearest[row], row))[:10]
    assert [(one.id, one.distance) for one in made.outliers] == [
        (row, float(nearest[row])) for row in expected
    ]
    expected = sorted(range(500), key=lambda row: (-times[row], row))[:10]
    assert [(one.id, one.neighbour_of) for one in made.hubs] == [
        (row, times[row]) for row in expected
    ]
    with pytest.raises(InvalidArgument, match=r"expected a name that ends in \.parquet"):
        pairdex.graph(folder, tmp_path / "g.h5", k=6, report=tmp_path / "rows.csv")


@pytest.mark.parametrize("dim", [16, 100, 300])
def test_the_exact_graph_has_the_true_neighbours_without_the_row_itself(collect, tmp_path, dim):
    rows = clustered(900, dim, seed=dim)
    made = pairdex.graph(collect(rows), tmp_path / "g.h5", k=7, exact=True)
    knns, dists, attributes = read(tmp_path / "g.h5")
    distances, nearest = true_distances(rows, 7)
    assert (made.rows, made.k, made.recall, made.exact) == (900, 7, 1.0, True)
    assert not (knns == np.arange(1, 901)[:, None]).any()
    np.testing.assert_allclose(dists, nearest, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(distances, knns - 1, axis=1), nearest, atol=1e-12)
    assert all(len(set(row)) == 7 for row in knns.tolist())
    assert attributes["exact"]
    assert (attributes["algo"], attributes["task"]) == ("pairdex graph", "task1")
    assert attributes["buildtime"] > 0


@pytest.mark.parametrize("dim", [16, 100, 300])
def test_the_graph_has_the_recall_it_reports_and_true_distances(collect, tmp_path, dim):
    rows = clustered(3000, dim, seed=dim)
    made = pairdex.graph(collect(rows), tmp_path / "g.h5", recall=0.97)
    knns, dists, attributes = read(tmp_path / "g.h5")
    distances, nearest = true_distances(rows, 15)
    assert knns.shape == dists.shape == (3000, 15)
    np.testing.assert_allclose(np.take_along_axis(distances, knns - 1, axis=1), dists, atol=1e-6)
    assert all(len(set(row)) == 15 for row in knns.tolist())
    assert (np.diff(dists, axis=1) >= 0).all()
    recall = np.mean(dists <= nearest[:, -1:] + 1e-6)
    assert recall >= 0.96  # of all rows; the report's is of a sample
    assert made.recall >= 0.97
    assert attributes["recall"] == made.recall
    assert made.recall_rows == 500
    assert made.passes[0] == "lists 8"


def test_the_graph_of_few_real_vectors_reaches_the_recall(real_data, collect, tmp_path):
    rows = np.load(real_data / "clip_b32_images.npy")[:4000]
    pairdex.graph(collect(rows), tmp_path / "g.h5", recall=0.9)
    _, dists, _ = read(tmp_path / "g.h5")
    _, nearest = true_distances(rows, 15)
    assert np.mean(dists <= nearest[:, -1:] + 1e-6) >= 0.88


def test_threads_change_nothing(collect, tmp_path, monkeypatch):
    collection = collect(clustered(1500, 100, seed=1))
    for threads in (1, 3):
        monkeypatch.setattr(graph_module, "usable_processors", lambda n=threads: n)
        pairdex.graph(collection, tmp_path / f"{threads}.h5")
    one, three = read(tmp_path / "1.h5"), read(tmp_path / "3.h5")
    np.testing.assert_array_equal(one[0], three[0])
    np.testing.assert_array_equal(one[1], three[1])


def test_removed_rows_have_no_neighbours_and_are_none(collect, tmp_path):
    collection = collect(clustered(600, 32, seed=2))
    pairdex.remove(collection, ids=[5, 300], reason="takedown")
    for exact in (True, False):
        made = pairdex.graph(collection, tmp_path / "g.h5", k=5, exact=exact)
        knns, dists, _ = read(tmp_path / "g.h5")
        assert made.rows == 598
        assert (knns[[5, 300]] == 0).all()
        assert np.isinf(dists[[5, 300]]).all()
        assert not np.isin(knns, [6, 301]).any()
        assert (np.delete(knns, [5, 300], axis=0) > 0).all()


def test_the_files_of_2025_and_parquet_hold_the_same(collect, tmp_path):
    collection = collect(clustered(500, 32, seed=3))
    pairdex.graph(collection, tmp_path / "g.h5", k=4, exact=True)
    pairdex.graph(collection, tmp_path / "a.h5", k=4, exact=True, group="allknn")
    pairdex.graph(collection, tmp_path / "g.parquet", k=4, exact=True)
    knns, dists, _ = read(tmp_path / "g.h5")
    in_group, group_dists, attributes = read(tmp_path / "a.h5", "allknn")
    np.testing.assert_array_equal(in_group, knns)
    np.testing.assert_array_equal(group_dists, dists)
    assert attributes["task"] == "task2"
    table = pq.read_table(tmp_path / "g.parquet")
    assert table["query"].to_pylist() == np.repeat(np.arange(500), 4).tolist()
    np.testing.assert_array_equal(table["id"].to_numpy().reshape(500, 4) + 1, knns)
    np.testing.assert_array_equal(table["distance"].to_numpy().reshape(500, 4), dists)


KILLED = """
import os, signal, sys
at, calls = int(sys.argv.pop(1)), 0
from pairdex.reference import graph_rows as graph
graph._SECONDS_BETWEEN_SAVES, graph._ROWS_AT_ONCE = 0, 50
real = graph.GraphRows.nearest
def nearest(self, ids, k):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, ids, k)
graph.GraphRows.nearest = nearest
from pairdex.cli import main
main()
"""


def test_a_killed_exact_graph_is_resumed(collect, tmp_path, monkeypatch):
    collection, out = collect(clustered(600, 32, seed=4)), tmp_path / "g.parquet"
    pairdex.graph(collection, tmp_path / "whole.parquet", k=4, exact=True)
    command = ["graph", collection, "--out", out, "-k", "4", "--exact"]
    ended = subprocess.run([sys.executable, "-c", KILLED, "7", *map(str, command)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not out.exists()
    monkeypatch.setattr(graph_rows, "_ROWS_AT_ONCE", 50)
    seen = []
    pairdex.graph(collection, out, k=4, exact=True, progress=lambda *step: seen.append(step))
    assert min(done for name, done, _ in seen if name == "searching") == 6 * 50
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"))
    assert not list(tmp_path.glob(".g.parquet.*"))


def test_rows_removed_meanwhile_and_a_full_disk_are_reported(collect, tmp_path, monkeypatch):
    collection = collect(clustered(600, 32, seed=5))

    def steps(name, done, total):
        if name == "comparing":
            pairdex.remove(collection, ids=[1], reason="takedown")

    with pytest.raises(Mismatch, match=r"rows were removed from .* meanwhile"):
        pairdex.graph(collection, tmp_path / "g.h5", progress=steps)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WriteFailed, match=r"cannot write .*: No space left on device; free space"):
        pairdex.graph(collection, tmp_path / "g.h5")
    monkeypatch.undo()
    assert pairdex.graph(collection, tmp_path / "g.h5").rows == 599


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0, expected 1 to 1,000"),
        ({"k": 60}, "has 60 rows; a graph needs more rows than k"),
        ({"recall": 0.0}, "recall is 0.0"),
        ({"recall": 1.5}, "recall is 1.5"),
        ({"on": "text"}, "has no 'text' vectors"),
        ({"out": "g.csv"}, "expected .h5 or .parquet"),
        ({"out": "g.parquet", "group": "allknn"}, "cannot write the group 'allknn'"),
        ({"group": "a/b"}, "cannot write the group 'a/b'"),
    ],
)
def test_what_cannot_be_done_is_reported_and_leaves_nothing(collect, tmp_path, options, message):
    collection = collect(clustered(60, 32, seed=6))
    arguments = {"out": "g.h5", **options}
    arguments["out"] = tmp_path / arguments["out"]
    with pytest.raises(InvalidArgument, match=message):
        pairdex.graph(collection, **arguments)
    assert not list(tmp_path.glob("*g.*"))


def test_the_command_says_what_it_made(run, collect, tmp_path):
    collection = collect(clustered(700, 32, seed=7))
    shown = run("graph", collection, "--out", tmp_path / "g.h5", "-k", "5", "--json").json
    assert (shown["rows"], shown["k"], shown["exact"]) == (700, 5, False)
    assert 0.9 <= shown["recall"] <= 1
    assert shown["seconds"] > 0
    assert "of 500 rows" in run("graph", collection, "--out", tmp_path / "g.h5").out
