"""Tombstones: written whole or not at all, checked when read, visible at once to every open store."""

import shutil
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pytest

import pairdex
import pairdex.store.store as store_module
from pairdex.derived.verify import verify
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    PairdexError,
    UnsupportedFormat,
    WriteFailed,
)
from pairdex.store.manifest import read_manifest
from pairdex.store.removed import REMOVED, add_removed, check_reason, read_removed
from pairdex.store.store import Store

NOON = datetime(2024, 5, 17, 12, tzinfo=timezone.utc)
LATER = datetime(2024, 5, 18, tzinfo=timezone.utc)


def remove(collection, *ids, reason="takedown 1", time=NOON):
    manifest = read_manifest(collection)
    return add_removed(collection, manifest, np.array(ids, np.int64), reason=reason, time=time)


def rows_of(collection):
    with pa.OSFile(str(collection / REMOVED)) as file:
        return pa.ipc.open_file(file).read_all()


def test_the_file_is_plain_arrow(collection):
    remove(collection, 3, 59)
    table = rows_of(collection)
    assert table.to_pylist() == [
        {"id": 3, "reason": "takedown 1", "time": NOON},
        {"id": 59, "reason": "takedown 1", "time": NOON},
    ]
    assert [str(kind) for kind in table.schema.types] == [
        "int64",
        "string",
        "timestamp[us, tz=UTC]",
    ]
    metadata = table.schema.metadata
    assert (metadata[b"format"], metadata[b"version"]) == (b"pairdex-removed", b"1")
    parts = read_manifest(collection).parts
    checksums = [part.files["image"].checksum for part in parts]
    assert metadata[b"vectors"].decode().split("\n") == checksums


def test_rows_removed_earlier_keep_their_reason_and_time(collection):
    assert remove(collection, 5, 20) == 2
    assert remove(collection, 2, 5, 30, reason="other", time=LATER) == 2
    assert rows_of(collection)["id"].to_pylist() == [2, 5, 20, 30]
    assert rows_of(collection)["reason"].to_pylist() == [
        "other",
        "takedown 1",
        "takedown 1",
        "other",
    ]
    assert rows_of(collection)["time"].to_pylist() == [LATER, NOON, NOON, LATER]


def test_removing_nothing_new_writes_nothing(collection, tree):
    assert remove(collection) == 0
    assert not (collection / REMOVED).exists()
    remove(collection, 5)
    before = tree(collection)
    assert remove(collection, 5, reason="again", time=LATER) == 0
    assert tree(collection) == before


def test_the_same_removal_gives_the_same_bytes(make_parts, build, tmp_path):
    for name in "ab":
        build(make_parts(10), tmp_path / name)
        remove(tmp_path / name, 1, 2)
    assert (tmp_path / "a" / REMOVED).read_bytes() == (tmp_path / "b" / REMOVED).read_bytes()


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_the_batch_size_changes_no_row(collection, monkeypatch, batch):
    monkeypatch.setattr("pairdex.store.removed._BATCH_ROWS", batch)
    remove(collection, 0, 7, 8, 40)
    remove(collection, 1, 9, 41, 59, reason="b")
    assert rows_of(collection)["id"].to_pylist() == [0, 1, 7, 8, 9, 40, 41, 59]
    assert "".join(reason[0] for reason in rows_of(collection)["reason"].to_pylist()) == "tbttbtbb"
    assert read_removed(collection, read_manifest(collection)).count == 8


def test_a_store_sees_rows_removed_before_and_after_it_was_opened(collection):
    store = Store(collection)
    assert (store.removed, store.live_rows, store.allowed()) == (None, 60, None)
    assert store.checksum == store.manifest.checksum
    remove(collection, 4, 9)
    for each in (store, Store(collection)):
        assert np.flatnonzero(each.removed).tolist() == [4, 9]
        assert (each.rows, each.live_rows) == (60, 58)
        assert not each.allowed()[4]
    assert np.flatnonzero(store.mask("id < 6")).tolist() == [0, 1, 2, 3, 5]
    assert np.flatnonzero(store.matching("id < 6")).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("ask", ["live_rows", "removed", "checksum", "allowed", "take", "mask"])
def test_a_missing_file_of_tombstones_is_an_error_in_an_open_store(collection, ask):
    remove(collection, 4, 9)
    store = Store(collection)
    asking = {
        "allowed": store.allowed,
        "take": lambda: store.take([1]),
        "mask": lambda: store.mask("id < 6"),
    }.get(ask, lambda: getattr(store, ask))
    asking()
    (collection / REMOVED).rename(collection / "elsewhere")
    with pytest.raises(MissingFile, match=r"removed\.arrow is missing, although rows were removed"):
        asking()
    (collection / "elsewhere").rename(collection / REMOVED)
    asking()


@pytest.mark.parametrize("removed", [[], [4, 9]])
def test_a_missing_folder_is_an_error_in_an_open_store(collection, tmp_path, removed):
    remove(collection, *removed)
    store = Store(collection)
    collection.rename(tmp_path / "elsewhere")
    with pytest.raises(MissingFile, match=r"collection was moved or deleted|is missing, although"):
        store.allowed()
    collection.mkdir()  # another folder of that name is not the collection either
    with pytest.raises(MissingFile, match=r"collection was moved or deleted|is missing, although"):
        store.allowed()
    collection.rmdir()
    (tmp_path / "elsewhere").rename(collection)
    assert store.live_rows == 60 - len(removed)


def test_a_file_that_disappears_before_it_is_read_is_an_error(collection, monkeypatch):
    remove(collection, 4)
    store = Store(collection)
    monkeypatch.setattr("pairdex.store.store.state_of", lambda _: (0, 0, 0, 0))  # seen a moment ago
    (collection / REMOVED).unlink()
    with pytest.raises(MissingFile, match=r"removed\.arrow is missing"):
        store.allowed()


def test_a_folder_that_is_replaced_while_it_is_opened_is_an_error(
    make_parts, build, tmp_path, monkeypatch
):
    build(make_parts(10, folder="a"), tmp_path / "here")
    build(make_parts(10, folder="b", numbers=[7]), tmp_path / "other")
    remove(tmp_path / "here", 3)
    joined = store_module.joined

    def replaced_meanwhile(*arguments):
        (tmp_path / "here").rename(tmp_path / "elsewhere")
        (tmp_path / "other").rename(tmp_path / "here")
        return joined(*arguments)

    monkeypatch.setattr(store_module, "joined", replaced_meanwhile)
    with pytest.raises(MissingFile, match="was replaced while it was being opened"):
        Store(tmp_path / "here")


def test_a_later_version_must_not_bring_removed_rows_back(make_parts, build, tmp_path):
    collection = tmp_path / "c"
    build(make_parts(10), collection)
    clean = tmp_path / "clean"
    shutil.copytree(collection, clean)
    remove(collection, 3)
    opened = pairdex.open(collection)
    build(make_parts(10, 5), collection)
    assert len(opened.reopened()) == 14  # removed and grown
    collection.rename(tmp_path / "elsewhere")
    clean.rename(collection)
    with pytest.raises(MissingFile, match="is missing, although rows were removed"):
        opened.reopened()
    remove(collection, 5)
    with pytest.raises(MissingFile, match="is missing, although rows were removed"):
        opened.reopened()
    remove(collection, 3)
    assert len(opened.reopened()) == 8


def test_the_checksum_depends_on_the_live_rows_only(collection):
    store = Store(collection)
    seen = [store.checksum]
    remove(collection, 4)
    seen.append(store.checksum)
    remove(collection, 9)
    seen.append(store.checksum)
    assert len(set(seen)) == 3
    (collection / REMOVED).unlink()
    remove(collection, 4, 9, reason="another reason", time=LATER)
    assert store.checksum == seen[2]


def test_a_removed_row_cannot_be_taken_but_all_others_can(collection):
    store = Store(collection)
    expected = store.take(np.array([0, 59]))
    remove(collection, 5)
    with pytest.raises(InvalidArgument, match=r"id 5 was removed from .*collection"):
        store.take(np.array([0, 5]))
    assert store.take(np.array([0, 59])) == expected
    assert store.read(np.array([5])).num_rows == 1


@pytest.mark.parametrize("bits", [1, 0x80])
def test_a_flip_anywhere_in_the_file_is_refused_by_name(collection, bits):
    remove(collection, 4, 9, 44)
    path = collection / REMOVED
    data = path.read_bytes()
    store = Store(collection)
    for place in range(0, len(data), 2):
        flipped = bytearray(data)
        flipped[place] ^= bits
        path.write_bytes(flipped)
        with pytest.raises(PairdexError, match=r"removed\.arrow.*(restore it|upgrade)") as caught:
            Store(collection)
        assert "\n" not in str(caught.value)
        if place % 50 == 0:
            (damage,) = verify(collection).damaged
            assert damage.file == REMOVED
    with pytest.raises(PairdexError, match=r"removed\.arrow"):
        store.allowed()  # an open one does not go on with what it knew
    path.write_bytes(data)
    assert store.live_rows == 57
    assert verify(collection).damaged == []


def test_a_file_cut_short_anywhere_is_refused_by_name(collection):
    remove(collection, 4, 9)
    data = (collection / REMOVED).read_bytes()
    for length in range(0, len(data), 7):
        (collection / REMOVED).write_bytes(data[:length])
        with pytest.raises(PairdexError, match=r"removed\.arrow.*restore it from a copy"):
            Store(collection)


def test_verify_reads_the_tombstones_too(collection):
    before = verify(collection)
    remove(collection, 4)
    report = verify(collection)
    assert report.files == before.files + 1
    assert report.bytes == before.bytes + (collection / REMOVED).stat().st_size


def write_foreign(path, schema):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema):
        pass


def test_foreign_and_newer_files_are_refused(collection):
    path = collection / REMOVED
    path.write_text("id\n3\n")
    with pytest.raises(UnsupportedFormat, match=r"removed\.arrow is not a file of removed rows"):
        Store(collection)
    write_foreign(path, pa.schema([("id", pa.int64())]))
    with pytest.raises(UnsupportedFormat, match=r"removed\.arrow is not a file of removed rows"):
        Store(collection)
    write_foreign(path, pa.schema([], {"format": "pairdex-removed", "version": "2"}))
    with pytest.raises(UnsupportedFormat, match="has format version 2, this release reads"):
        Store(collection)
    write_foreign(path, pa.schema([], {"format": "pairdex-removed", "version": "1"}))
    with pytest.raises(DamagedFile, match="its checksum does not match"):
        Store(collection)


def test_tombstones_of_another_collection_are_refused(make_parts, build, tmp_path):
    build(make_parts(10, folder="a"), tmp_path / "one")
    build(make_parts(10, folder="b", numbers=[7]), tmp_path / "other")
    remove(tmp_path / "one", 3)
    (tmp_path / "other" / REMOVED).write_bytes((tmp_path / "one" / REMOVED).read_bytes())
    with pytest.raises(Mismatch, match=r"other/removed\.arrow belongs to another collection"):
        Store(tmp_path / "other")
    assert [damage.file for damage in verify(tmp_path / "other").damaged] == [REMOVED]


def test_parts_added_later_leave_the_tombstones_in_force(make_parts, build, tmp_path):
    collection = tmp_path / "c"
    build(make_parts(10), collection)
    remove(collection, 3)
    old = Store(collection)
    build(make_parts(10, 5), collection)  # the first part is there: its rows do not come again
    grown = Store(collection)
    assert (grown.rows, grown.live_rows) == (15, 14)
    assert np.flatnonzero(grown.removed).tolist() == [3]
    remove(collection, 12)
    assert (old.rows, old.live_rows) == (10, 9)  # it does not see the new part, nor its tombstone
    assert np.flatnonzero(grown.removed).tolist() == [3, 12]


def test_a_collection_whose_manifest_is_lost_is_not_built_over(make_parts, build, tmp_path):
    collection = tmp_path / "c"
    build(make_parts(10), collection)
    remove(collection, 3)
    (collection / "collection.json").unlink()
    with pytest.raises(InvalidArgument, match=r"is no collection and not empty"):
        build(make_parts(10), collection)
    assert (collection / REMOVED).exists()


def test_a_failed_write_leaves_the_old_tombstones(collection, monkeypatch, tree):
    remove(collection, 3)
    before = tree(collection)

    def full(*_):
        raise WriteFailed("cannot write: no space left on device")

    monkeypatch.setattr("pairdex.files.atomic._finish", full)
    with pytest.raises(WriteFailed):
        remove(collection, 4)
    assert tree(collection) == before


@pytest.mark.parametrize("reason", ["", " \t", "two\nlines", "bell \a", "\udce9", "x" * 1001])
def test_a_reason_is_one_line_of_text(reason):
    with pytest.raises(InvalidArgument, match="the reason"):
        check_reason(reason)
