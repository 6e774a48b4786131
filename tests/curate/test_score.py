"""Scores become columns: everywhere, atomically, once, and only for the vectors they are of."""

import json
import subprocess
import sys
import time
from random import Random

import numpy as np
import pytest

import pairdex
import pairdex.curate.score as score_module
from pairdex.curate.score import score
from pairdex.encoders.heads import load_head
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch, MissingFile
from pairdex.store.scores import Joined


@pytest.fixture
def head(tmp_path):
    """A function that writes a small NSFW head for 8 dimensions."""

    def make(seed=0, dim=8):
        rng = np.random.default_rng(seed)
        path = tmp_path / f"head-{seed}-{dim}.npz"
        np.savez(
            path,
            norm__mean=np.full(dim, 0.01),
            norm__variance=np.full(dim, 1 / dim),
            linear_1__weight=rng.normal(0, 1, (4, dim)),
            linear_1__bias=rng.normal(0, 1, 4),
            linear_2__weight=rng.normal(0, 1, (1, 4)),
            linear_2__bias=np.zeros(1),
        )
        return path

    return make


@pytest.fixture
def aesthetic(tmp_path):
    path = tmp_path / "aesthetic.npz"
    np.savez(path, weight=np.linspace(-3, 3, 8)[None, :], bias=np.array([5.0]))
    return path


def test_scores_are_columns_of_rows_filters_and_hits(collection, head, aesthetic):
    report = score(collection, nsfw=head(), aesthetic=aesthetic)
    assert (report.rows, report.scored, report.warnings) == (60, 120, [])
    assert report.columns == ["punsafe", "aesthetic"]
    c = pairdex.open(collection)
    assert {"punsafe", "aesthetic"} <= set(c.columns)
    expected = load_head(head(), "nsfw").scores(c.vectors("image")[:])
    ids = [59, 3, 35, 30, 0]
    assert c.take(ids)["punsafe"].to_pylist() == expected[ids].tolist()
    found = c.search(like=7, k=60, where="punsafe < 0.5 AND aesthetic > 4")
    assert 0 < len(found) < 60
    assert max(found["punsafe"].to_pylist()) < 0.5
    safe = int((expected < 0.5).sum()) - int(expected[7] < 0.5)
    assert len(c.search(like=7, k=60, where="punsafe < 0.5")) == safe


def test_scoring_again_computes_nothing_and_changes_no_byte(collection, head, tree):
    score(collection, nsfw=head())
    before = tree(collection)
    assert score(collection, nsfw=head()).scored == 0
    assert tree(collection) == before


def test_the_collection_itself_stays_as_it_was(collection, head, tree):
    before = tree(collection)
    score(collection, nsfw=head())
    after = tree(collection)
    assert {name: after[name] for name in before} == before


def test_rows_of_parts_added_later_have_no_value_until_they_are_scored(
    make_parts, build, tmp_path, head
):
    folder = tmp_path / "collection"
    build(make_parts(30, folder="a"), folder)
    score(folder, nsfw=head())
    build(make_parts(10, 20, numbers=[7, 8], folder="b"), folder)
    c = pairdex.open(folder)
    assert c.take(range(50))["punsafe"].null_count == 20
    assert max(c.search(like=0, k=60, where="punsafe >= 0")["id"].to_pylist()) < 30
    assert score(folder, nsfw=head()).scored == 30
    assert pairdex.open(folder).take(range(60))["punsafe"].null_count == 0


def test_another_head_replaces_the_column_and_an_open_reader_keeps_the_old(collection, head):
    score(collection, nsfw=head(0))
    before = pairdex.open(collection)
    old = before.take(range(60))["punsafe"]
    score(collection, nsfw=head(1))
    assert before.take(range(60))["punsafe"] == old
    assert pairdex.open(collection).take(range(60))["punsafe"] != old
    assert len(list((collection / "scores/punsafe").glob("*.arrow"))) == 3


def test_many_batches_are_joined_row_by_row(make_parts, build, tmp_path, head, monkeypatch):
    monkeypatch.setattr(score_module, "BATCH_ROWS", 7)
    monkeypatch.setattr("pairdex.store.metadata.BATCH_ROWS", 7)
    build(make_parts(30, 1, 20), tmp_path / "collection")
    score(tmp_path / "collection", nsfw=head())
    c = pairdex.open(tmp_path / "collection")
    assert isinstance(c._store.metadata_files[0], Joined)
    expected = load_head(head(), "nsfw").scores(c.vectors("image")[:])
    order = np.random.default_rng(0).permutation(51)
    assert c.take(order)["punsafe"].to_pylist() == expected[order].tolist()
    limit = float(np.median(expected))
    wanted = np.flatnonzero(expected < np.float32(limit))
    assert np.flatnonzero(c._store.mask(f"punsafe < {limit!r}::FLOAT")).tolist() == wanted.tolist()


def test_killed_at_any_instant_the_same_call_ends_with_the_same_bytes(
    make_parts, build, tmp_path, head, tree
):
    parts = make_parts(*[400] * 12)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        build(parts, folder)
    score(whole, nsfw=head())
    program = (
        "from pathlib import Path; import pairdex; print('go', flush=True); "
        f"pairdex.score({str(broken)!r}, nsfw={str(head())!r})"
    )
    rng = Random(0)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.06))
            process.kill()
        assert pairdex.open(broken).columns  # whole, with the column or without
    score(broken, nsfw=head())
    assert tree(broken / "scores") == tree(whole / "scores")


def test_a_call_goes_on_behind_the_parts_that_are_done(collection, head):
    def stop(step, done, total):
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(collection, nsfw=head(), progress=stop)
    assert "punsafe" not in pairdex.open(collection).columns
    calls = []
    report = score(collection, nsfw=head(), progress=lambda *call: calls.append(call))
    assert (report.scored, calls[-1]) == (20, ("scoring", 60, 60))


def test_vectors_unlike_those_of_the_heads_model_give_a_warning(collection, tmp_path):
    path = tmp_path / "far.npz"
    np.savez(
        path,
        norm__mean=np.full(8, 0.9),
        norm__variance=np.full(8, 0.01),
        linear_1__weight=np.ones((1, 8)),
        linear_1__bias=np.ones(1),
    )
    [warning] = score(collection, nsfw=path).warnings
    assert "they seem to be of another model" in warning


def test_a_head_for_other_vectors_is_refused_before_anything_is_written(collection, head):
    with pytest.raises(Mismatch, match=r"takes vectors of 9 dimensions, .* has 8"):
        score(collection, nsfw=head(dim=9))
    assert not (collection / "scores").exists()


def test_a_released_column_of_the_name_is_not_hidden(make_parts, build, tmp_path, head):
    folder = tmp_path / "collection"
    build(
        make_parts(5, columns=lambda _, rows: {"url": ["u"] * rows, "PUNSAFE": [0.5] * rows}),
        folder,
    )
    with pytest.raises(Mismatch, match="has the column punsafe from its parts already"):
        score(folder, nsfw=head())


def test_no_head_is_refused(collection):
    with pytest.raises(InvalidArgument, match="no head is given"):
        score(collection)


def test_a_flipped_byte_is_found_and_named_with_what_to_do(collection, head):
    score(collection, nsfw=head())
    path = sorted((collection / "scores/punsafe").glob("*.arrow"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        [damage] = pairdex.verify(collection).damaged
        assert damage.file == f"scores/punsafe/{path.name}"
        assert damage.remedy == "delete scores/punsafe and run pairdex score again"
        score(collection, nsfw=head())  # does not vouch for the damaged file


def test_a_missing_short_or_foreign_file_is_named_when_the_collection_is_opened(collection, head):
    score(collection, nsfw=head())
    path = sorted((collection / "scores/punsafe").glob("*.arrow"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedFile, match=r"has .* bytes, expected .*; delete .*score again"):
        pairdex.open(collection)
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(DamagedFile, match=r"is damaged: .*; delete .*run pairdex score again"):
        pairdex.open(collection)
    path.unlink()
    with pytest.raises(MissingFile, match=r"is missing; delete .* and run pairdex score again"):
        pairdex.open(collection)


def test_a_damaged_note_is_named(collection, head):
    score(collection, nsfw=head())
    note = collection / "scores/punsafe/score.json"
    note.write_text(note.read_text().replace('"rows": 30', '"rows": 31'))
    with pytest.raises(DamagedFile, match=r"score\.json is damaged: .*; delete"):
        pairdex.open(collection)
    assert "score.json is damaged: its checksum" in pairdex.verify(collection).damaged[0].reason


def test_the_command_scores_and_info_lists_the_columns(collection, head, run):
    said = run("score", collection, "--nsfw", head(), "--json").json
    assert (said["rows"], said["columns"], said["scored"]) == (60, ["punsafe"], 60)
    facts = run("info", collection, "--json").json
    assert facts["columns"][-1] == "punsafe"
    [column] = facts["scores"]
    assert (column["name"], column["rows"], column["current"]) == ("punsafe", 60, True)
    assert "punsafe" in run("info", collection).out
    assert "warnings" in run("score", collection, "--nsfw", head()).out
    assert run("score", collection).complaint.startswith("no head is given")
    json.loads((collection / "scores/punsafe/score.json").read_text())
