"""Commands with `--cluster` give the same answers and bytes as on one machine."""

import shutil

import numpy as np
import pytest

import pairdex
from conftest import read_tree
from pairdex.curate import pairs as pairs_module
from pairdex.demo.pictures import draw_pictures
from pairdex.errors import InvalidArgument
from pairdex.join import near_pairs
from pairdex.store.pictures import picture_folders
from sharded import make_twins, save_parts


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A collection of three parts with some removed rows."""
    folder = tmp_path_factory.mktemp("built")
    pairdex.build(save_parts(folder / "parts", (30, 20, 25)), folder / "c")
    pairdex.remove(folder / "c", ids=[3, 31, 60], reason="test")
    return folder / "c"


@pytest.fixture
def copies(built, tmp_path):
    """Two copies of the collection: one for this machine, one for the nodes."""
    return [shutil.copytree(built, tmp_path / name / "c") for name in ("here", "there")]


@pytest.mark.parametrize("kind", ["whole", "shards"])
def test_files_verified_on_nodes_are_found_damaged_alike(address, tmp_path, run, kind):
    twins = make_twins(tmp_path, rows=(30, 20, 25))
    folder = getattr(twins, kind)
    checked = run("verify", folder, "--cluster", address, "--json").json
    assert (checked["files"], checked["damaged"]) == (pairdex.verify(folder).files, [])
    for path in (folder.rglob("image/00000.npy"), folder.rglob("metadata/00000.arrow")):
        damaged = next(path)
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert pairdex.verify(folder, cluster=address) == pairdex.verify(folder)
    assert len(pairdex.verify(folder).damaged) == 2


def test_scores_made_on_nodes_have_the_same_bytes(address, copies, tmp_path, run):
    here, there = copies
    np.savez(tmp_path / "head.npz", weight=np.linspace(-3, 3, 64)[None, :], bias=np.array([5.0]))
    pairdex.score(here, aesthetic=tmp_path / "head.npz")
    options = ("--aesthetic", tmp_path / "head.npz", "--cluster", address, "--json")
    assert run("score", there, *options).json["scored"] == 75
    assert read_tree(there) == read_tree(here)
    for name in ("score.json", "00001-*"):  # as an interrupted call leaves it
        next((there / "scores/aesthetic").glob(name)).unlink()
    assert run("score", there, *options).json["scored"] == 20
    assert read_tree(there) == read_tree(here)


FORMATS = {
    "parquet": ("--vectors", "text"),
    "laion": (),
    "webdataset": ("--rows", 7),
    "clickhouse": (),
    "tfds": ("--config", "embeddings", "--rows", 15),
}


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_written_by_nodes_has_the_same_bytes(address, built, tmp_path, run, form):
    options = ("--format", form, *FORMATS[form], "--json")
    here = run("export", built, tmp_path / "here", *options).json
    there = run("export", built, tmp_path / "there", *options, "--cluster", address).json
    assert {**there, "seconds": 0} == {**here, "seconds": 0}
    assert here["left_out"] == {"removed": 3}
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")


def test_the_pictures_of_an_export_are_probed_and_written_by_nodes(address, tmp_path):
    draw_pictures(tmp_path / "pictures", count=4, seed=3)
    pairdex.encode(tmp_path / "pictures", tmp_path / "parts", model="demo")
    pairdex.build(tmp_path / "parts", tmp_path / "c")
    seen = picture_folders(pairdex.open(tmp_path / "c").manifest.parts)
    assert seen == [tmp_path / "pictures"]
    for name, cluster in (("here", None), ("there", address)):
        pairdex.export(tmp_path / "c", tmp_path / name, "webdataset", cluster=cluster)
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")


@pytest.mark.parametrize("form", ["sisap", "tsv"])
def test_formats_of_single_files_are_not_exported_by_nodes(built, tmp_path, form):
    with pytest.raises(InvalidArgument, match=f"{form} is written from beginning to end") as caught:
        pairdex.export(built, tmp_path / "x", form, cluster="10.0.0.1:6379")
    assert caught.value.field == "cluster"


SEARCHES = [
    (),
    ("--where", "width < 104", "--safe"),
    ("--on", "text", "--no-codes"),
    ("--on", "pca8"),
]


@pytest.mark.parametrize("kind", ["whole", "shards"])
def test_searches_of_nodes_find_the_same_rows(address, tmp_path, run, monkeypatch, kind):
    monkeypatch.setattr("pairdex.evaluation.search_on_cluster._QUERY_BLOCK", 7)
    twins = make_twins(tmp_path, rows=(30, 20, 25))
    pairdex.remove(getattr(twins, kind), ids=[3, 31], reason="test")
    vectors = np.random.default_rng(0).standard_normal((20, 64)).astype(np.float32)
    np.save(tmp_path / "q.npy", vectors)
    if kind == "whole":
        pairdex.project(twins.whole, "pca8")
    for options in SEARCHES[: 4 if kind == "whole" else 3]:
        command = ("search", getattr(twins, kind), "--vectors", tmp_path / "q.npy", *options)
        here = run(*command, "--json").json
        there = run(*command, "--json", "--cluster", address).json
        for name in ("ids", "distances", "queries", "k", "exact", "certified", "on", "by"):
            assert there[name] == here[name]


def test_one_query_is_not_searched_by_nodes(built, run):
    complaint = run("search", built, "--like", 5, "--cluster", "10.0.0.1:6379").complaint
    assert "a cluster searches for the vectors of a file" in complaint


@pytest.mark.parametrize("options", [("--exact",), ("--exact", "--on", "text"), ("--on", "pca8")])
def test_an_exact_graph_found_by_nodes_is_the_same(
    address, copies, tmp_path, run, monkeypatch, options
):
    monkeypatch.setattr("pairdex.reference.graph_rows._ROWS_AT_ONCE", 20)
    here, there = copies
    for name, folder, more in (("here", here, ()), ("there", there, ("--cluster", address))):
        if "pca8" in options:
            pairdex.project(folder, "pca8")
        out = tmp_path / f"{name}.parquet"
        made = run("graph", folder, "--out", out, "-k", 4, *options, *more, "--json").json
        assert (made["rows"], made["exact"], made["passes"]) == (72, True, ["exact"])
    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()


def test_a_gold_standard_of_all_rows_found_by_nodes_is_the_same(
    address, copies, tmp_path, run, monkeypatch
):
    monkeypatch.setattr("pairdex.reference.graph_rows._ROWS_AT_ONCE", 20)
    here, there = copies
    assert run("gold", here, here, "--out", tmp_path / "here.h5", "-k", 4, "--json").json
    options = ("-k", 4, "--cluster", address, "--json")
    assert run("gold", there, there, "--out", tmp_path / "there.h5", *options).json["n"] == 72
    assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()


def test_an_approximate_graph_is_not_made_by_nodes(built, tmp_path):
    with pytest.raises(InvalidArgument, match="ask for an exact graph, or leave out cluster"):
        pairdex.graph(built, tmp_path / "g.h5", cluster="10.0.0.1:6379")


@pytest.mark.parametrize("against", [False, True])
def test_pairs_found_by_nodes_have_the_same_bytes(
    address, copies, tmp_path, run, monkeypatch, against
):
    monkeypatch.setattr(near_pairs, "_X_LISTS", 8)
    monkeypatch.setattr(near_pairs, "_Y_ROWS", 20)
    here, there = copies
    options = ("--against", there, "--where", "width < 105") if against else ()
    command = ("pairs", here, "--within", 0.8, *options, "--json")
    found = run(*command, "--out", tmp_path / "here.parquet").json
    assert found["pairs"] > 10
    out = tmp_path / "there.parquet"
    assert run(*command, "--out", out, "--cluster", address).json["pairs"] == found["pairs"]
    assert out.read_bytes() == (tmp_path / "here.parquet").read_bytes()
    assert not list(tmp_path.glob(".there.parquet.*"))


def test_pairs_of_nodes_that_were_noted_are_not_searched_again(
    address, copies, tmp_path, monkeypatch
):
    monkeypatch.setattr(near_pairs, "_X_LISTS", 8)
    monkeypatch.setattr(near_pairs, "_Y_ROWS", 20)
    monkeypatch.setattr(pairs_module, "_SECONDS_BETWEEN_SAVES", 0)
    folder, out = copies[0], tmp_path / "p.parquet"
    pairdex.pairs(folder, tmp_path / "whole.parquet", within=0.8)
    with monkeypatch.context() as patch:
        patch.setattr(pairs_module, "_write", lambda *_: 1 / 0)  # after all were found
        with pytest.raises(ZeroDivisionError):
            pairdex.pairs(folder, out, within=0.8, cluster=address)
    seen = []
    pairdex.pairs(folder, out, within=0.8, progress=lambda *step: seen.append(step))
    assert [done == total for name, done, total in seen if name == "comparing"] == [True]
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    "command", [("subset", "--where", "width < 105"), ("dedup", "--threshold", 0.1)]
)
def test_a_new_collection_written_by_nodes_has_the_same_bytes(
    address, built, tmp_path, run, command
):
    name, *options = command
    made = {}
    for place, more in (("here", ()), ("there", ("--cluster", address))):
        made[place] = run(name, built, tmp_path / place / "c", *options, *more, "--json").json
    assert made["there"]["rows"] == made["here"]["rows"] < 72
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")
    workers = run(name, built, tmp_path / "x", "--workers", 2, "--cluster", address).complaint
    assert "leave out one" in workers
    assert not (tmp_path / "x").exists()
