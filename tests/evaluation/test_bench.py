"""Benches measure every way to search, and leave files that SISAP's evaluation reads."""

import csv

import h5py
import numpy as np
import pytest

import pairdex
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.store.store import Store


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.npy"
    np.save(path, np.random.default_rng(3).standard_normal((12, 8)).astype(np.float32))
    return path


def test_every_way_is_measured_and_exact_ones_are_exact(collection, queries):
    pairdex.project(collection, "pca4")
    found = pairdex.bench(collection, queries, k=5, repeat=1)
    runs = {run.algo: run for run in found.evaluation.runs}
    assert list(runs) == ["pairdex exact", "pairdex exact, no codes", "pairdex pca4"]
    assert runs["pairdex exact"].recall == runs["pairdex exact, no codes"].recall == 1.0
    assert 0.2 < runs["pairdex pca4"].recall < 1.0
    assert all(run.qps > 0 and run.n == 12 and run.k == 5 for run in runs.values())
    assert [single.queries for single in found.single] == [12, 12, 12]


def test_projections_are_searched_by_their_own_distance(collection, queries, tmp_path):
    pairdex.project(
        collection, "pca8"
    )  # all dimensions: Euclidean distance of unit vectors is cosine
    runs = pairdex.bench(collection, queries, k=5, repeat=1).evaluation.runs
    assert runs[-1].algo == "pairdex pca8"
    assert runs[-1].recall == 1.0


def test_text_vectors_are_measured_without_the_projections_of_images(collection, queries):
    pairdex.project(collection, "pca4")
    found = pairdex.bench(collection, queries, k=5, on="text", repeat=1)
    assert [run.recall for run in found.evaluation.runs] == [1.0, 1.0]


def test_a_gold_standard_that_is_given_is_used_and_must_fit(collection, queries, tmp_path):
    pairdex.gold(collection, queries, tmp_path / "gold.h5", k=6)
    found = pairdex.bench(collection, queries, gold=tmp_path / "gold.h5", k=6, repeat=1)
    assert found.evaluation.runs[0].recall == 1.0
    with pytest.raises(InvalidArgument, match="knows 6 neighbours"):
        pairdex.bench(collection, queries, gold=tmp_path / "gold.h5", k=7)
    np.save(tmp_path / "other.npy", -np.load(queries))
    with pytest.raises(Mismatch, match="not of the same queries"):
        pairdex.bench(collection, tmp_path / "other.npy", gold=tmp_path / "gold.h5", k=6, repeat=1)
    np.save(tmp_path / "few.npy", np.load(queries)[:3])
    with pytest.raises(Mismatch, match="is of 12 queries, expected 3"):
        pairdex.bench(collection, tmp_path / "few.npy", gold=tmp_path / "gold.h5", k=6)


def test_removed_rows_are_found_by_no_way(collection, queries, run, tmp_path):
    pairdex.project(collection, "pca4")
    (tmp_path / "ids.txt").write_text("\n".join(str(i) for i in range(0, 60, 2)))
    assert run("remove", collection, "--ids", tmp_path / "ids.txt", "--reason", "x").status == 0
    pairdex.bench(collection, queries, k=5, repeat=1, out=tmp_path / "out")
    for path in (tmp_path / "out" / "collection" / "30").iterdir():
        with h5py.File(path) as file:
            assert ((file["knns"][()] - 1) % 2 == 1).all()


def as_the_organisers_do(folder, gold, k, csv_path):
    """The access pattern of SISAP's evaluation script: what it looks for, reads and writes."""
    columns = ["data", "size", "algo", "buildtime", "querytime", "params", "recall"]
    with h5py.File(gold) as file:
        true_ids = np.array(file["knns"])
    with csv_path.open("w", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=columns)  # raises for any other attribute
        writer.writeheader()
        for path in sorted(folder.glob("*/*/*.h5")):
            with h5py.File(path, "r") as file:
                assert "knns" in file
                assert "size" in file or "size" in file.attrs
                ids, facts = np.array(file["knns"]), dict(file.attrs)
            hits = sum(len(set(a[:k]) & set(b[:k])) for a, b in zip(ids, true_ids, strict=True))
            facts["recall"] = hits / (len(ids) * k)
            f"{facts['data']:<8} {facts['algo']:<7} {facts['params']} {facts['querytime']:1.3f}"
            writer.writerow(facts)
    with csv_path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_organisers_script_reads_our_results_and_finds_the_same_recall(
    collection, queries, tmp_path
):
    pairdex.project(collection, "pca4")
    found = pairdex.bench(collection, queries, k=5, repeat=1, out=tmp_path / "out")
    rows = as_the_organisers_do(tmp_path / "out", tmp_path / "out/gold.h5", 5, tmp_path / "r.csv")
    assert {row["algo"]: float(row["recall"]) for row in rows} == {
        run.algo: run.recall for run in found.evaluation.runs
    }
    again = pairdex.evaluate([tmp_path / "out"], tmp_path / "out/gold.h5", k=5)
    assert [run.recall for run in again.runs] == [run.recall for run in found.evaluation.runs]
    assert again.passed_over == {}
    with h5py.File(tmp_path / "out/collection/60/exact.h5") as file:
        assert file["knns"].attrs["collection_checksum"] == Store(collection).checksum


def test_the_command_prints_a_table_or_json(collection, queries, run):
    out = run("bench", collection, queries, "-k", 5, "--repeat", 1)
    assert out.status == 0, out.err
    assert "pairdex exact, no codes" in out.out
    assert "One query at a time" in out.out
    assert "warm, median of 1" in out.out
    out = run("bench", collection, queries, "-k", 5, "--repeat", 2, "--json")
    assert {"recall", "k", "qps", "buildtime", "single"} <= out.json["runs"][0].keys()
    assert out.json["runs"][0]["single"]["queries"] == 12
    assert (out.json["repeat"], out.json["runs"][0]["n"]) == (2, 12)


def test_bad_input_ends_in_one_line_before_codes_are_made(collection, queries, run, tmp_path):
    assert "k is 61, " in run("bench", collection, queries, "-k", 61).complaint
    assert "k is 0, " in run("bench", collection, queries, "-k", 0).complaint
    assert "repeat is 0" in run("bench", collection, queries, "--repeat", 0).complaint
    assert "does not exist" in run("bench", collection, tmp_path / "no.npy").complaint
    np.save(tmp_path / "none.npy", np.empty((0, 8), np.float32))
    assert "no queries" in run("bench", collection, tmp_path / "none.npy").complaint
    assert not (collection / "indexes").exists()
