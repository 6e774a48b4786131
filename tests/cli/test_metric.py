"""What every command does with a collection that is searched by inner product: it works, or says why not."""

import shutil

import numpy as np
import pytest

import pairdex
from pairdex.cli.commands import COMMANDS

REFUSED = "was built with --metric ip, "

# The arguments of a run on the collection C, with the queries Q and a new file or folder NEW.
WORKING = {
    "search": [
        ["C", "--like", "3"],
        ["C", "--text", "a red circle", "--unlike", "blue"],
        ["C", "--like", "3", "--keywords", "red"],
        ["C", "--vectors", "Q", "-k", "3"],
        ["C", "--where", "id < 9", "--sort", "id"],
    ],
    "build": [["PARTS", "C"], ["PARTS", "C", "--metric", "ip"]],
    "info": [["C"]],
    "verify": [["C"]],
    "sql": [
        ["C", "SELECT count(*) FROM pairs"],
        ["C", "SELECT id, distance, distance(id, 'red') FROM nearest('red', 3)"],
    ],
    "score": [["C", "--aesthetic", "HEAD"]],
    "subset": [["C", "NEW", "--where", "id < 50"]],
    "shard": [["C", "1", "--out", "NEW"]],
    "push": [["C", "URL"]],
    "remove": [["C", "--where", "id = 7", "--reason", "asked for"]],
    "gold": [["C", "Q", "--out", "NEW.h5", "-k", "5"]],
    "bench": [["C", "Q", "-k", "5", "--repeat", "1"]],
    "export": [
        ["C", "NEW", "--format", form]
        for form in ("sisap", "tsv", "parquet", "laion", "webdataset")
    ],
    "model set": [["C", "demo"]],
    "model verify": [["C", "--sample", "9"]],
}
REFUSING = {
    "search": [["C", "--like", "3", "--fold", "0.06"]],
    "index": [["C"]],
    "atlas": [["C"]],
    "photos": [["PICTURES", "C", "--no-serve"]],
    "dedup": [["C", "NEW"]],
    "pairs": [
        ["C", "--within", "0.05", "--out", "NEW.parquet"],
        ["COSINE", "--against", "C", "--within", "0.05", "--out", "NEW.parquet"],
    ],
    "queries": [["C", "--out", "NEW.h5", "-n", "5"]],
    "gold": [
        ["C", "C", "--out", "NEW.h5", "-k", "5"],
        ["C", "Q", "--out", "NEW.h5", "-k", "5", "--device", "cpu"],
    ],
    "graph": [["C", "--out", "NEW.h5"], ["C", "--out", "NEW.h5", "--exact"]],
    "project": [["C", "pca32"], ["C", "hamming"]],
    "export": [["C", "NEW", "--format", "clickhouse"]],
    "clickhouse load": [["C", "--path", "NEW"]],
    "clickhouse search": [["C", "--like", "3", "--path", "NEW"], ["C", "--vectors", "Q"]],
    "clickhouse report": [["C", "--path", "NEW"]],
}
# They take no collection; or the metric does not concern them, as they serve what they find: `serve` is
# tested in tests/service/test_metric.py.
WITHOUT = {
    "demo",
    "serve",
    "releases",
    "fetch",
    "encode",
    "evaluate",
    "pull",
    "clickhouse udf",
    "model fetch",
    "model export",
}


@pytest.fixture(scope="module")
def made(drawn, tmp_path_factory):
    """A folder with a collection by inner product of the drawn scenes, of many lengths, and its queries."""
    root = tmp_path_factory.mktemp("metric")
    shutil.copytree(drawn.parent / "parts", root / "parts")
    path = next((root / "parts").rglob("img_emb_*.npy"))
    vectors = np.load(path)
    lengths = np.random.default_rng(1).lognormal(0, 0.5, (len(vectors), 1))
    np.save(path, (vectors * lengths).astype(np.float16))
    pairdex.build(root / "parts", root / "collection", metric="ip")
    np.save(root / "queries.npy", vectors[:4].astype(np.float32))
    np.savez(root / "head.npz", weight=np.ones((1, vectors.shape[1])), bias=np.array([5.0]))
    return root


def cases(table):
    return [
        pytest.param(name, arguments, id=f"{name} {' '.join(arguments)}")
        for name, runs in table.items()
        for arguments in runs
    ]


def command(made, drawn, folder, name, arguments):
    """Copy the collection into a folder, and return the words of a command on it."""
    shutil.copytree(made / "collection", folder / "collection")
    places = {
        "C": folder / "collection",
        "COSINE": drawn,
        "PARTS": made / "parts",
        "PICTURES": drawn.parent / "pictures",
        "Q": made / "queries.npy",
        "HEAD": made / "head.npz",
        "URL": (folder / "new").as_uri(),
    }
    new = {f"NEW{suffix}": folder / f"new{suffix}" for suffix in ("", ".h5", ".parquet")}
    return [*name.split(), *((places | new).get(word, word) for word in arguments)]


def test_every_command_is_listed_here():
    assert {*WORKING, *REFUSING, *WITHOUT} == {entry.name for entry in COMMANDS}
    assert not WITHOUT & {*WORKING, *REFUSING}


@pytest.mark.parametrize(("name", "arguments"), cases(WORKING))
def test_a_command_that_compares_by_the_metric_or_not_at_all_works(
    made, drawn, tmp_path, run, name, arguments
):
    ended = run(*command(made, drawn, tmp_path, name, arguments))
    assert (ended.status, ended.err) == (0, ""), ended.err


@pytest.mark.parametrize(("name", "arguments"), cases(REFUSING))
def test_a_command_that_needs_cosines_says_so_in_one_line_and_writes_nothing(
    made, drawn, tmp_path, run, tree, name, arguments
):
    words = command(made, drawn, tmp_path, name, arguments)
    before = tree(tmp_path)
    complaint = run(*words).complaint
    shutil.rmtree(
        tmp_path / "collection/indexes", ignore_errors=True
    )  # codes, which a search made first
    assert REFUSED in complaint
    assert "needs cosine distances: build its parts into another collection" in complaint
    assert tree(tmp_path) == before


def test_parts_of_another_metric_are_not_added(made, drawn, tmp_path, run):
    words = command(made, drawn, tmp_path, "build", ["PARTS", "C", "--metric", "cosine"])
    assert "has the metric ip, the parts to add have cosine" in run(*words).complaint


def test_a_published_or_sharded_collection_keeps_the_metric(made, drawn, tmp_path, run):
    run(*command(made, drawn, tmp_path, "push", ["C", "URL"]))
    run("pull", (tmp_path / "new").as_uri(), tmp_path / "pulled")
    pairdex.join_shards([tmp_path / "pulled", made / "collection"], tmp_path / "joined")
    vector = np.load(made / "queries.npy")[0]
    once = pairdex.open(made / "collection").nearest(vector, 5, metric="ip")
    twice = pairdex.open(tmp_path / "joined").nearest(vector, 10, metric="ip")
    assert twice.distances.tolist() == np.repeat(once.distances, 2).tolist()
    assert twice.report.certified
    with pytest.raises(pairdex.errors.Mismatch, match="has the metric"):
        pairdex.join_shards([tmp_path / "pulled", drawn], tmp_path / "mixed")


def test_the_metric_is_kept_by_a_subset_and_shown(made, drawn, tmp_path, run):
    run(*command(made, drawn, tmp_path, "subset", ["C", "NEW", "--where", "id < 50"]))
    assert run("info", tmp_path / "new", "--json").json["metric"] == "ip"
    shown = run("info", tmp_path / "new").out.splitlines()
    assert [line.split() for line in shown if line.startswith("metric")] == [["metric", "ip"]]
    assert run("info", drawn, "--json").json["metric"] == "cosine"


def test_a_word_that_is_no_metric_is_refused(made, tmp_path):
    with pytest.raises(
        pairdex.errors.InvalidArgument, match="metric is 'l2', expected cosine or ip"
    ):
        pairdex.build(made / "parts", tmp_path / "new", metric="l2")
