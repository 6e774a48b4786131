"""Shards share the files of their source, hold its rows in order, and appear whole or not at all."""

import json
import shutil

import numpy as np
import pytest

import pairdex
from pairdex.curate import shard_files
from pairdex.curate.shard import _cuts
from pairdex.derived.lookups.keywords import KEYWORDS
from pairdex.derived.lookups.parts import made_parts
from pairdex.errors import CollectionBusy, DamagedFile, InvalidArgument, Mismatch
from pairdex.files import lock
from pairdex.store.store import Store
from sharded import make_twins, save_parts


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with parts and a collection of them."""
    folder = tmp_path_factory.mktemp("built")
    pairdex.build(save_parts(folder / "parts"), folder / "whole", model="demo")
    return folder


@pytest.fixture
def whole(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path / "whole"


def parts_of(folder):
    return [part["rows"] for part in json.loads((folder / "collection.json").read_text())["parts"]]


@pytest.mark.parametrize(
    ("rows", "shards", "cuts"),
    [
        ([10, 10, 10, 30], 2, [0, 3, 4]),
        ([10, 10, 10, 30], 4, [0, 1, 2, 3, 4]),
        ([100, 1, 1], 3, [0, 1, 2, 3]),
        ([1, 1, 100], 3, [0, 1, 2, 3]),
        ([0, 0, 5], 2, [0, 1, 3]),
        ([7], 1, [0, 1]),
    ],
)
def test_cuts_fall_between_parts_and_leave_each_shard_one(rows, shards, cuts):
    assert _cuts(rows, shards) == cuts


def test_shards_share_the_bytes_of_their_source(whole):
    report = pairdex.shard(whole, 3, whole.with_name("s"))
    assert (report.shards, report.rows, report.copied) == (3, 200, 0)
    assert report.linked == pairdex.info(whole).bytes
    first = whole.with_name("s") / "shards/00001/image/00000.npy"
    assert parts_of(first.parents[1]) == [0, 31, 60]
    assert first.samefile(whole / "image/00002.npy")


def test_each_shard_is_a_collection_of_its_own(whole):
    pairdex.shard(whole, 3, whole.with_name("s"))
    shards = [pairdex.open(path) for path in sorted(whole.with_name("s").glob("shards/*"))]
    assert [len(shard) for shard in shards] == [65, 91, 44]
    expected = pairdex.open(whole).vectors("text")[65:156]
    np.testing.assert_array_equal(np.asarray(shards[1].vectors("text")), expected)
    assert [pairdex.verify(shard).damaged for shard in shards] == [[], [], []]
    assert pairdex.build(whole.with_name("parts"), whole).added == 0  # the source is unchanged


def test_files_are_copied_and_compared_where_links_are_impossible(whole, monkeypatch):
    monkeypatch.setattr(shard_files, "link", lambda *_: None)
    report = pairdex.shard(whole, 2, whole.with_name("s"))
    assert report.linked == 0
    assert report.copied == pairdex.info(whole).bytes
    assert pairdex.verify(whole.with_name("s")).damaged == []
    path = whole / "text/00004.npy"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DamagedFile, match=r"text/00004.npy is damaged"):
        pairdex.shard(whole, 2, whole.with_name("t"))
    assert not whole.with_name("t").exists()


def test_an_interrupted_call_is_resumed_and_files_of_another_are_dropped(whole, monkeypatch):
    place, placed = shard_files._place, []

    def stop_later(old, new, *rest):
        placed.append(new)
        if len(placed) == 9:
            raise KeyboardInterrupt
        return place(old, new, *rest)

    monkeypatch.setattr(shard_files, "_place", stop_later)
    with pytest.raises(KeyboardInterrupt):
        pairdex.shard(whole, 3, whole.with_name("s"))
    assert not whole.with_name("s").exists()
    monkeypatch.setattr(shard_files, "_place", place)
    report = pairdex.shard(whole, 3, whole.with_name("s"))
    assert 0 < report.linked < pairdex.info(whole).bytes
    assert pairdex.verify(whole.with_name("s")).damaged == []
    placed.clear()
    monkeypatch.setattr(shard_files, "_place", stop_later)
    with pytest.raises(KeyboardInterrupt):
        pairdex.shard(whole, 3, whole.with_name("t"))
    monkeypatch.setattr(shard_files, "_place", place)
    assert pairdex.shard(whole, 2, whole.with_name("t")).linked == pairdex.info(whole).bytes
    assert not list(whole.parent.glob(".*"))


def test_lookups_come_along_and_codes_only_with_all_rows(whole):
    c = pairdex.open(whole)
    c.prepare()
    c.prepare_keywords()
    pairdex.shard(whole, 3, whole.with_name("s"))
    for path in whole.with_name("s").glob("shards/*"):
        store = Store(path)
        assert made_parts(store, KEYWORDS) == list(range(len(store.manifest.parts)))
        assert not (path / "indexes/image/codes").exists()
    pairdex.join_shards([whole], whole.with_name("j"))
    assert (whole.with_name("j") / "shards/00000/indexes/image/codes").is_file()


def test_removed_rows_keep_their_reasons_in_the_shards(whole):
    pairdex.remove(whole, ids=[0, 64, 65, 199], reason="first")
    pairdex.remove(whole, where="id = 70", reason="second")
    pairdex.shard(whole, 3, whole.with_name("s"))
    counts = [pairdex.open(path).removed for path in sorted(whole.with_name("s").glob("shards/*"))]
    assert counts == [2, 2, 1]
    assert pairdex.open(whole.with_name("s")).checksum != pairdex.open(whole).checksum
    assert pairdex.verify(whole.with_name("s")).damaged == []


def test_rows_removed_while_shards_are_made_stop_it(whole, monkeypatch):
    copy = shard_files.copy_removed

    def remove_then_copy(*arguments):
        copy(*arguments)
        pairdex.remove(whole, ids=[1], reason="meanwhile")

    monkeypatch.setattr(shard_files, "copy_removed", remove_then_copy)
    with pytest.raises(Mismatch, match="rows were removed meanwhile"):
        pairdex.shard(whole, 2, whole.with_name("s"))
    assert not whole.with_name("s").exists()


def test_joined_collections_have_one_sequence_of_ids(tmp_path):
    for name, rows in (("a", (5, 6)), ("b", (7,))):
        pairdex.build(save_parts(tmp_path / f"parts-{name}", rows), tmp_path / name)
    pairdex.remove(tmp_path / "b", ids=[2], reason="x")
    report = pairdex.join_shards([tmp_path / "b", tmp_path / "a"], tmp_path / "both")
    assert (report.shards, report.rows) == (2, 18)
    both = pairdex.open(tmp_path / "both")
    assert (both.name, len(both)) == ("both", 17)
    assert 2 not in both
    assert both[7]["url"] == pairdex.open(tmp_path / "a")[0]["url"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"nsfw": "safe"}, "NSFW rule"),
        ({"where": "width > 1"}, "filter"),
        ({"model": "demo"}, "model"),
    ],
)
def test_collections_of_another_kind_are_not_joined(tmp_path, options, what):
    parts = save_parts(tmp_path / "parts", (6,))
    pairdex.build(parts, tmp_path / "a")
    pairdex.build(parts, tmp_path / "b", **options)
    with pytest.raises(Mismatch, match=f"b has the {what} .*a has"):
        pairdex.join_shards([tmp_path / "a", tmp_path / "b"], tmp_path / "both")


def test_arguments_that_cannot_be_are_refused(whole, tmp_path):
    for shards in (0, 8):
        with pytest.raises(InvalidArgument, match="it has 7 parts, and a shard has at least one"):
            pairdex.shard(whole, shards, tmp_path / "s")
    with pytest.raises(InvalidArgument, match="no collection to join, or one of them twice"):
        pairdex.join_shards([whole, whole], tmp_path / "s")
    with pytest.raises(InvalidArgument, match="already exists"):
        pairdex.shard(whole, 2, whole)
    with lock.writing(whole), pytest.raises(CollectionBusy):
        pairdex.shard(whole, 2, tmp_path / "s")


def test_a_shard_that_got_rows_is_noticed(tmp_path):
    twins = make_twins(tmp_path, shards=2, rows=(10, 12))
    shard = twins.shards / "shards/00001"
    save_parts(tmp_path / "more", (10, 12, 4))
    shutil.rmtree(shard)
    pairdex.build(tmp_path / "more", shard, model="demo")
    with pytest.raises(Mismatch, match=r"the shard .*00001 has 26 rows, but not the 12 that"):
        pairdex.open(twins.shards)


def test_the_command_makes_and_joins_shards(whole, tmp_path, run):
    made = run("shard", whole, 3, "--json").json
    assert (made["shards"], made["rows"]) == (3, 200)
    assert len(pairdex.open(tmp_path / "whole-shards")) == 200
    both = [tmp_path / "whole-shards/shards/00000", tmp_path / "whole-shards/shards/00002"]
    done = run("shard", "--join", *both, "--out", tmp_path / "two")
    assert "shards      2\nrows        109\n" in done.out
    assert "copied      0 B" in done.out


def test_wrong_use_of_the_command_says_what_is_expected(whole, run):
    for arguments in ((whole,), (whole, "many"), (whole, 2, 3)):
        ended = run("shard", *arguments)
        assert ended.status == 2
        assert "expected a collection and the number of shards" in " ".join(
            ended.err.replace("│", " ").split()
        )
    assert run("shard", "--join", whole).status == 2
