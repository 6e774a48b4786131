"""Commands with `--cluster` give the same answers and bytes as on one machine."""

import shutil

import numpy as np
import pytest

import pairdex
from conftest import read_tree
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
