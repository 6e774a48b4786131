"""A collection that is pushed and pulled: whole, only what changed, removed rows with it."""

import shutil
import threading
import time

import numpy as np
import pytest

import pairdex
from pairdex.derived.verify import verify
from pairdex.errors import (
    CollectionBusy,
    DamagedFile,
    FetchFailed,
    InvalidArgument,
    Mismatch,
    WriteFailed,
)
from pairdex.files.sealed_json import read_sealed
from pairdex.sharing.folder_target import FolderTarget
from pairdex.sharing.listing import LISTING, parse_listing
from pairdex.sharing.pull import pull_files
from pairdex.sharing.push import push_files
from pairdex.store.manifest import MANIFEST, read_manifest
from pairdex.store.store import Store

from .conftest import NOW, serve


def listing_of(folder):
    return parse_listing((folder / LISTING).read_bytes(), "here")


def vectors_of(collection):
    with pairdex.open(collection, use_codes=False) as opened:
        return opened.vectors("image")[:]


def test_a_pulled_collection_has_the_files_that_were_pushed(rich, tmp_path, tree):
    pushed = pairdex.push(rich, f"file://{tmp_path}/shared")
    pulled = pairdex.pull(f"file://{tmp_path}/shared", tmp_path / "copy")
    ours, theirs = tree(rich), tree(tmp_path / "copy")
    for private in (MANIFEST, "notes.txt", "indexes/.image.0.partial"):
        ours.pop(private)
    theirs.pop(MANIFEST)
    assert theirs == ours
    assert "indexes/image/codes" in theirs
    assert (pulled.files, pulled.verified, pulled.fetched) == (pushed.files,) * 3
    assert pulled.bytes == pulled.received == pushed.sent_bytes
    assert verify(tmp_path / "copy").damaged == []
    assert pairdex.info(tmp_path / "copy").derived == pairdex.info(rich).derived


def test_a_pulled_collection_answers_as_the_original(rich, tmp_path):
    pairdex.push(rich, f"file://{tmp_path}/shared")
    pairdex.pull(f"file://{tmp_path}/shared", tmp_path / "copy")
    with pairdex.open(rich) as ours, pairdex.open(tmp_path / "copy") as theirs:
        query = ours.vectors("image")[7]
        assert theirs.nearest(query, 5).ids.tolist() == ours.nearest(query, 5).ids.tolist()
        assert theirs.search("a red circle", k=3).ids.tolist() == (
            ours.search("a red circle", k=3).ids.tolist()
        )


def test_folders_of_the_publishers_machine_are_not_published(rich, tmp_path):
    pictures = read_manifest(rich).parts[0].pictures
    assert pictures
    pairdex.push(rich, f"file://{tmp_path}/shared")
    for path in (tmp_path / "shared").rglob("*"):
        if path.is_file():
            assert pictures.encode() not in path.read_bytes(), path
            assert b"nobody else" not in path.read_bytes(), path


def test_a_second_push_and_pull_move_nothing(published, tmp_path):
    pairdex.pull(published.url, tmp_path / "copy")
    pushed, pulled = published.push(), pairdex.pull(published.url, tmp_path / "copy")
    assert (pushed.sent, pushed.sent_bytes) == (0, 0)
    assert (pulled.fetched, pulled.received) == (0, 0)


def test_only_a_new_part_is_moved(published, tmp_path, make_parts, build):
    pairdex.pull(published.url, tmp_path / "copy")
    build(make_parts(30, 10, 20, 5), published.collection)
    pushed, pulled = published.push(), pairdex.pull(published.url, tmp_path / "copy")
    assert pushed.sent == pulled.fetched == 4  # image, text, metadata, manifest
    assert pulled.rows == 65
    assert verify(tmp_path / "copy").damaged == []
    np.testing.assert_array_equal(vectors_of(tmp_path / "copy"), vectors_of(published.collection))


def test_who_reads_the_list_before_still_finds_what_it_names(
    published, tmp_path, make_parts, build
):
    before = (published.folder / LISTING).read_bytes()
    old = shutil.copytree(published.collection, tmp_path / "old")
    build(make_parts(30, 10, 20, 5), published.collection)
    published.push()
    (published.folder / LISTING).write_bytes(before)
    pairdex.pull(published.url, tmp_path / "copy")
    np.testing.assert_array_equal(vectors_of(tmp_path / "copy"), vectors_of(old))


def test_objects_that_no_list_needs_are_removed_by_the_push_after(published, make_parts, build):
    for rows in ((30, 10, 20, 5), (30, 10, 20, 5, 4), (30, 10, 20, 5, 4, 3)):
        build(make_parts(*rows), published.collection)
        published.push()
    listing = listing_of(published.folder)
    manifests = {path.name for path in published.folder.glob("collection.json*")}
    assert len(manifests) == 2
    assert manifests == {file.name for file in listing.files if file.path == MANIFEST} | {
        name for name in listing.retired if name.startswith(MANIFEST)
    }


def test_removed_rows_come_along(published, tmp_path):
    pairdex.pull(published.url, tmp_path / "copy")
    pairdex.remove(published.collection, where="width < 103", reason="takedown 1")
    published.push()
    pairdex.pull(published.url, tmp_path / "copy")
    assert not Store(tmp_path / "copy").mask("width < 103").any()
    assert Store(tmp_path / "copy").live_rows == 60 - 9


def test_rows_that_were_removed_from_the_copy_stay_removed(published, tmp_path):
    pairdex.remove(published.collection, where="width = 100", reason="takedown 1")
    published.push()
    pairdex.pull(published.url, tmp_path / "copy")
    pairdex.remove(tmp_path / "copy", where="width = 105", reason="ours")
    pairdex.remove(published.collection, where="width = 102", reason="takedown 2")
    published.push()
    for _ in range(2):
        pull_files(published.url, tmp_path / "copy", now=NOW)
        copy = Store(tmp_path / "copy")
        assert copy.live_rows == 60 - 9
        assert not copy.mask("width in (100, 102, 105)").any()
    assert verify(tmp_path / "copy").damaged == []


def test_the_copy_of_a_collection_can_be_pushed_on(published, tmp_path):
    pairdex.pull(published.url, tmp_path / "copy")
    pairdex.remove(tmp_path / "copy", where="width = 105", reason="ours")
    assert pairdex.push(tmp_path / "copy", published.url).sent == 1
    with pytest.raises(Mismatch, match=r"still has 3 rows that were removed there; pull it first"):
        published.push()
    pairdex.pull(published.url, published.collection)
    assert published.push().sent == 0
    assert pairdex.info(published.collection).removed == 3


def test_a_pull_into_the_original_keeps_where_its_pictures_lie(rich, tmp_path):
    pairdex.push(rich, f"file://{tmp_path}/shared")
    before = (rich / MANIFEST).read_bytes()
    (rich / "image/00000.npy").unlink()
    assert pairdex.pull(f"file://{tmp_path}/shared", rich).fetched == 2
    assert (rich / MANIFEST).read_bytes() == before
    assert verify(rich).damaged == []


def test_derived_data_of_the_folder_stays_and_fetched_data_replaces_older(rich, tmp_path):
    pairdex.push(rich, f"file://{tmp_path}/shared")
    pairdex.pull(f"file://{tmp_path}/shared", tmp_path / "copy")
    pairdex.project(tmp_path / "copy", "hamming")
    stale = tmp_path / "copy/projections/pca32/older.npy"
    stale.write_bytes(b"older")
    pairdex.pull(f"file://{tmp_path}/shared", tmp_path / "copy")
    assert not stale.exists()
    assert {one.name for one in pairdex.info(tmp_path / "copy").under("projections")} == {
        "pca32",
        "hamming",
    }


def test_a_folder_with_another_collection_or_something_else_is_refused(
    published, tmp_path, make_parts, build
):
    build(make_parts(7, folder="others", numbers=[9]), tmp_path / "other")
    with pytest.raises(Mismatch, match="holds another collection than"):
        pairdex.pull(published.url, tmp_path / "other")
    with pytest.raises(Mismatch, match="holds another collection"):
        pairdex.push(tmp_path / "other", published.url)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    with pytest.raises(InvalidArgument, match=r"not empty \(it holds a.jpg\); name a new folder"):
        pairdex.pull(published.url, tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_a_push_overwrites_no_collection_that_was_not_published(
    collection, tmp_path, make_parts, build, tree
):
    build(make_parts(7, folder="others", numbers=[9]), tmp_path / "other")
    shutil.copytree(collection, tmp_path / "backup")
    pairdex.remove(tmp_path / "backup", where="width = 105", reason="only there")
    for name in ("other", "backup"):
        before = tree(tmp_path / name)
        with pytest.raises(Mismatch, match=r"differs from .* name a new folder"):
            pairdex.push(collection, f"file://{tmp_path}/{name}")
        assert tree(tmp_path / name) == before


@pytest.mark.parametrize("inside", ["", "/image", "/new/folder"])
def test_a_collection_is_not_published_in_its_own_folder(collection, tree, inside):
    before = tree(collection)
    with pytest.raises(InvalidArgument, match=r"lies in the collection .* name another folder"):
        pairdex.push(collection, f"file://{collection}{inside}")
    assert tree(collection) == before


def test_a_folder_with_more_parts_is_refused(published, tmp_path, make_parts, build):
    pairdex.pull(published.url, tmp_path / "copy")
    build(make_parts(30, 10, 20, 5), tmp_path / "copy")
    with pytest.raises(Mismatch, match=r"holds 4 parts, .* has the first 3 of them: push it there"):
        pairdex.pull(published.url, tmp_path / "copy")
    pairdex.push(tmp_path / "copy", published.url)
    with pytest.raises(Mismatch, match=r"newer version: it has 4 parts, .* has 3; pull it first"):
        published.push()


def test_a_push_that_another_one_overtook_changes_nothing(published, monkeypatch):
    pairdex.remove(published.collection, where="width = 105", reason="ours")
    from pairdex.sharing import push

    def overtaken(*arguments):
        (published.folder / LISTING).write_bytes(b"the list of another push")
        return []

    monkeypatch.setattr(push, "_send", overtaken)
    with pytest.raises(CollectionBusy, match=r"another push to .* ended meanwhile"):
        published.push()
    assert (published.folder / LISTING).read_bytes() == b"the list of another push"


def test_a_damaged_file_is_not_published(collection, tmp_path):
    with (collection / "image/00001.npy").open("r+b") as file:
        file.seek(150)
        file.write(b"\x55")
    with pytest.raises(DamagedFile, match=r"00001.npy has the checksum .*, expected .* verify"):
        pairdex.push(collection, f"file://{tmp_path}/shared")
    assert not (tmp_path / "shared" / LISTING).exists()
    with pytest.raises(FetchFailed, match=r"holds no published collection: it has no published"):
        pairdex.pull(f"file://{tmp_path}/shared", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_list_is_sealed_and_names_every_file(published):
    content = read_sealed(
        (published.folder / LISTING).read_bytes(),
        published.folder / LISTING,
        kind="pairdex-published",
        version=1,
        remedy="",
    )
    files = {path.relative_to(published.folder).as_posix() for path in published.folder.rglob("*")}
    assert {file["path"] for file in content["files"]} <= files
    assert content["collection"] == "collection"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("somewhere", "is not an address; expected https://"),
        ("https://host/c?token=secret", "has a query or a fragment"),
        ("https://host/c", "nothing can be pushed to https://host/c; expected s3://"),
        ("file://elsewhere/c", "is not a folder of this machine"),
    ],
)
def test_addresses_that_nothing_can_be_pushed_to_are_refused(collection, url, complaint):
    with pytest.raises(InvalidArgument, match=complaint) as caught:
        pairdex.push(collection, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("jobs", [0, 65])
def test_a_wrong_number_of_jobs_is_refused(published, tmp_path, jobs):
    with pytest.raises(InvalidArgument, match="expected 1 to 64"):
        push_files(published.collection, published.url, jobs=jobs)
    with pytest.raises(InvalidArgument, match="expected 1 to 64"):
        pull_files(published.url, tmp_path / "copy", jobs=jobs)


def test_progress_counts_bytes(collection, tmp_path):
    seen = []
    note = lambda *step: seen.append(step)  # noqa: E731
    report = pairdex.push(collection, f"file://{tmp_path}/shared", progress=note)
    pairdex.pull(f"file://{tmp_path}/shared", tmp_path / "copy", progress=note)
    assert ("sending", report.bytes, report.bytes) in seen
    assert [done for step, done, total in seen if step == "fetching"][-1] == (
        report.bytes - (tmp_path / "copy" / MANIFEST).stat().st_size
    )


def test_the_commands_push_and_pull(collection, tmp_path, run):
    pushed = run("push", collection, f"file://{tmp_path}/shared", "--json").json
    pulled = run("pull", f"file://{tmp_path}/shared", tmp_path / "copy", "--json").json
    assert pushed["files"] == pulled["files"] == pulled["verified"] == pushed["verified"]
    assert pushed["bytes"] == pulled["bytes"] == pulled["received"]
    again = run("pull", f"file://{tmp_path}/shared", tmp_path / "copy")
    assert "0 now, 0 B received" in again.out
    assert "published at" in run("push", collection, f"file://{tmp_path}/shared").out
    assert "not an address" in run("pull", "nowhere", tmp_path / "copy").complaint


def test_a_password_in_the_address_is_not_shown(published, tmp_path, server, retry):
    url = serve(server, published.folder).replace("http://", "http://me:secret@")
    assert "secret" not in pull_files(url, tmp_path / "copy", retry=retry).url
    server.files.pop("shared/image/00000.npy")
    with pytest.raises(FetchFailed, match=r"image/00000.npy: http://127") as caught:
        pull_files(url, tmp_path / "another", retry=retry)
    assert "secret" not in str(caught.value)
    left = [path for path in (tmp_path / "another").rglob("*") if path.is_file()]
    assert left
    assert not any(b"secret" in path.read_bytes() for path in left)


def test_a_sharded_collection_is_refused_in_one_line(published, tmp_path):
    pairdex.shard(published.collection, 2, out=tmp_path / "sharded")
    with pytest.raises(InvalidArgument, match="is a sharded collection, on which this does not"):
        pairdex.push(tmp_path / "sharded", f"file://{tmp_path}/elsewhere")
    with pytest.raises(InvalidArgument, match="is a sharded collection"):
        pairdex.pull(published.url, tmp_path / "sharded")
    assert not (tmp_path / "elsewhere").exists()


def test_the_first_failure_of_several_files_is_the_one_that_is_raised(
    collection, tmp_path, monkeypatch
):
    started = threading.Barrier(2)

    def put(self, upload, advance):
        if upload.name not in ("collection.json", "image/00000.npy"):
            return
        started.wait(10)
        if upload.name == "image/00000.npy":
            raise WriteFailed("the disk is full")
        for _ in range(10_000):  # the first in order ends second, because of the other
            time.sleep(0.001)
            advance(0)

    monkeypatch.setattr(FolderTarget, "put", put)
    with pytest.raises(WriteFailed, match="the disk is full"):
        pairdex.push(collection, f"file://{tmp_path}/shared")
