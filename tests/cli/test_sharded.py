"""Every command treats a sharded collection like any other, or says in one line that it does not yet."""

import shutil

import numpy as np
import pytest

import pairdex
from pairdex.cli.commands import COMMANDS
from sharded import DIM, make_twins

REFUSAL = (
    "{folder} is a sharded collection, on which this does not work yet; use the collection that was divided "
    "into shards, or one of the shards"
)

# What each command is called with; C is the sharded collection, O and Q are files beside it.
WORKS = {
    "info": "C",
    "verify": "C",
    "search": "C --text dog --json",
    "sql": "C COUNT",
    "remove": "C --where id<10 --reason takedown",
    "gold": "C Q --out O.h5 -k 3",
    "queries": "C --out O.h5 -n 2",
    "export": "C O --format parquet",
    "index": "C",
}
REFUSES = {
    "atlas": "C",
    "build": "parts C",
    "score": "C --nsfw head.npz",
    "subset": "C O",
    "shard": "C 2 --out O",
    "dedup": "C O",
    "pairs": "C --within 0.1 --out O.parquet",
    "graph": "C --out O.h5 -k 3",
    "project": "C pca8",
    "bench": "C Q",
    "clickhouse load": "C --path O",
    "clickhouse search": "C --like 1 --path O",
    "clickhouse report": "C -n 2 --path O",
    "model set": "C demo",
    "push": "C file:///nosuch/O",
}
# These take no collection, or run until they are stopped: tests/service/test_sharded.py serves one.
WITHOUT = {
    "demo", "serve", "photos", "releases", "fetch", "encode", "evaluate", "clickhouse udf", "model fetch", "pull",
    "model export",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    twins = make_twins(folder, shards=2, rows=(30, 40, 20))
    np.save(folder / "Q.npy", np.random.default_rng(0).standard_normal((3, DIM)).astype("f4"))
    np.savez(
        folder / "head.npz",
        norm__mean=np.zeros(DIM),
        norm__variance=np.ones(DIM),
        linear_1__weight=np.ones((1, DIM)),
        linear_1__bias=np.zeros(1),
    )
    shutil.rmtree(twins.whole)
    return folder


@pytest.fixture
def call(folder, tmp_path, run, monkeypatch):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    words = {"C": "shards", "Q": "Q.npy", "COUNT": "SELECT count(*) FROM pairs"}

    def call(name, arguments):
        return run(*name.split(), *(words.get(word, word) for word in arguments.split()))

    return call


def test_every_command_is_looked_at():
    assert {entry.name for entry in COMMANDS} == {*WORKS, *REFUSES, *WITHOUT, "model verify"}


@pytest.mark.parametrize("name", WORKS)
def test_what_works_on_shards(call, name):
    ended = call(name, WORKS[name])
    assert ended.status == 0, ended.err


@pytest.mark.parametrize("name", REFUSES)
def test_what_does_not_work_yet_says_so_and_changes_nothing(call, name, tree):
    before = tree("shards")
    assert call(name, REFUSES[name]).complaint == REFUSAL.format(folder="shards")
    assert tree("shards") == before


def test_a_model_is_compared_with_the_rows_of_all_shards(call):
    complaint = call("model verify", "C --sample 4").complaint
    assert complaint.startswith("shards: demo is other: ")  # the vectors are random


def test_info_names_the_shards(call):
    said = call("info", "C --json").json
    assert said["shards"] == [
        {"path": "shards/00000", "first_id": 0, "rows": 30},
        {"path": "shards/00001", "first_id": 30, "rows": 60},
    ]
    pairdex.open("shards").prepare()
    out = call("info", "C").out
    assert "codes of image vectors of shards/00001" in out
    assert "shards       2\n" in out


def test_verify_names_the_damaged_file_of_a_shard(call):
    assert "files    9\n" in call("verify", "C").out
    path = pairdex.open("shards").path / "shards/00001/text/00000.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    complaint = call("verify", "C").complaint
    assert complaint.startswith("shards/shards/00001/text/00000.npy is damaged: its checksum is")
