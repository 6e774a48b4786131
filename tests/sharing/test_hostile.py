"""Published lists and manifests made to do harm: refused in one line, and nothing outside is touched."""

import json
import os
import shutil
from dataclasses import replace

import pytest

import pairdex
from fault_server import Fault
from pairdex.errors import (
    DamagedFile,
    FetchFailed,
    PairdexError,
    UnsupportedFormat,
    WriteFailed,
)
from pairdex.files import checksums
from pairdex.files.sealed_json import sealed
from pairdex.sharing.listing import LISTING, PublishedFile, parse_listing
from pairdex.sharing.pull import pull_files
from pairdex.store.manifest import MANIFEST, read_manifest, sealed_manifest

from .conftest import serve

NAMES = [
    "../outside.npy",
    "image/../../outside.npy",
    "/tmp/outside.npy",
    "image/..",
    "image//00009.npy",
    "image\\..\\..\\outside.npy",
    "C:/outside.npy",
    "image/con.npy",
    "image/a\x00b.npy",
    "image/a\nb.npy",
    "image/" + "a" * 300,
    "notes.txt",
    "photos.state",
    ".build/00000.json",
    "image/.hidden.npy",
    "metadata",
    "",
]


def relisted(published, change):
    """Publish the list with its files changed, sealed again as a forger would."""
    path = published.folder / LISTING
    content = json.loads(path.read_bytes())
    content.pop("checksum")
    content["files"] = change(content["files"])
    path.write_bytes(sealed(content))


def added(**facts):
    file = {"path": "image/00009.npy", "bytes": 5, "checksum": checksums.of_bytes(b"evil!")}
    return lambda files: [*files, file | facts]


def with_manifest(published, manifest):
    """Publish a forged manifest with a list that fits it."""
    data = sealed_manifest(manifest)
    (published.folder / MANIFEST).write_bytes(data)
    facts = {"bytes": len(data), "checksum": checksums.of_bytes(data)}
    relisted(published, lambda fs: [f | facts if f["path"] == MANIFEST else f for f in fs])


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_not_a_collections_are_refused(published, tmp_path, tree, name):
    (published.folder / "evil").write_bytes(b"evil!")
    relisted(published, added(path=name, object="evil"))
    before = tree(tmp_path)
    with pytest.raises((UnsupportedFormat, DamagedFile)):
        pairdex.pull(published.url, tmp_path / "copy")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["../collection/image/00000.npy", "/etc/passwd", "a?b", LISTING])
def test_objects_elsewhere_are_refused(published, tmp_path, name):
    relisted(published, added(object=name))
    with pytest.raises(UnsupportedFormat, match="refused"):
        pairdex.pull(published.url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    "change",
    [
        added(path="image/00000.npy"),
        added(path="image/00000.npy/inside.npy"),
        added(bytes=-1),
        added(checksum="short"),
        added(bytes="many"),
        added(more=1),
        lambda files: [file for file in files if file["path"] != MANIFEST],
        lambda _: {},
    ],
)
def test_lists_that_nobody_publishes_are_damaged(published, tmp_path, change):
    relisted(published, change)
    with pytest.raises(DamagedFile, match=r"damaged|cannot be read"):
        pairdex.pull(published.url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    "change",
    [
        added(),
        lambda files: [file for file in files if file["path"] != "text/00001.npy"],
        lambda files: [
            file | ({"bytes": 9} if file["path"] == "text/00001.npy" else {}) for file in files
        ],
    ],
)
def test_a_list_that_differs_from_the_manifest_is_damaged(published, tmp_path, change):
    relisted(published, change)
    with pytest.raises(DamagedFile, match=r"published.json .*; publish it again"):
        pairdex.pull(published.url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_manifest_that_names_folders_of_this_machine_is_refused(published, tmp_path):
    manifest = read_manifest(published.collection)
    first, *rest = manifest.parts
    model = {"name": "demo", "dim": 8, "checksum": None, "folder": str(tmp_path)}
    for forged in (
        replace(manifest, parts=[replace(first, pictures="/etc"), *rest]),
        replace(manifest, parts=[replace(first, linked=("/",)), *rest]),
        replace(manifest, model=model),
    ):
        with_manifest(published, forged)
        with pytest.raises(UnsupportedFormat, match=r"names the folder .* which is refused"):
            pairdex.pull(published.url, tmp_path / "copy")
        assert not (tmp_path / "copy").exists()


def test_a_manifest_whose_files_lie_outside_is_refused(published, tmp_path):
    manifest = read_manifest(published.collection)
    first, *rest = manifest.parts
    outside = replace(first.files["image"], path="../outside.npy")
    files = first.files | {"image": outside}
    with_manifest(published, replace(manifest, parts=[replace(first, files=files), *rest]))
    with pytest.raises(PairdexError, match="does not stay in its folder"):
        pairdex.pull(published.url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert not (tmp_path / "outside.npy").exists()


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"<html>", b"{}", b'{"format": 1}'])
def test_something_else_in_place_of_the_list_is_refused(published, tmp_path, data):
    (published.folder / LISTING).write_bytes(data)
    with pytest.raises((DamagedFile, UnsupportedFormat), match=r"published\.json"):
        pairdex.pull(published.url, tmp_path / "copy")


def test_a_newer_list_asks_for_an_upgrade(published, tmp_path):
    content = json.loads((published.folder / LISTING).read_bytes())
    content.pop("checksum")
    (published.folder / LISTING).write_bytes(sealed(content | {"version": 2}))
    with pytest.raises(UnsupportedFormat, match="upgrade"):
        pairdex.pull(published.url, tmp_path / "copy")


def test_wrong_bytes_do_not_become_a_collection(published, tmp_path):
    path = published.folder / "image/00001.npy"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(FetchFailed, match=r"1 of 10 files failed; image/00001.npy: .* twice"):
        pairdex.pull(published.url, tmp_path / "copy")
    assert not (tmp_path / "copy" / MANIFEST).exists()


@pytest.mark.parametrize("fault", [{"no_length": True}, {}])
def test_a_server_that_sends_more_than_it_lists_is_stopped(
    published, tmp_path, server, retry, fault
):
    url = serve(server, published.folder)
    served = server.files["shared/image/00001.npy"]
    served.faults = [Fault(body=served.data + bytes(1000), **fault) for _ in range(9)]
    with pytest.raises(FetchFailed, match="it is another file"):
        pull_files(url, tmp_path / "copy", retry=retry)
    for path in (tmp_path / "copy").rglob("*.part"):
        assert path.stat().st_size <= len(served.data)


def test_a_list_without_end_is_stopped(published, tmp_path, server, retry, monkeypatch):
    monkeypatch.setattr("pairdex.sharing.place.LISTING_LIMIT_BYTES", 100)
    with pytest.raises(FetchFailed, match="has more than 100 bytes"):
        pull_files(serve(server, published.folder), tmp_path / "copy", retry=retry)


def test_links_in_the_folder_are_not_followed(published, tmp_path):
    pairdex.pull(published.url, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/image")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "copy/image").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WriteFailed, match="image is a link; remove it"):
        pairdex.pull(published.url, tmp_path / "copy")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_link_in_place_of_a_file_is_replaced_and_its_target_untouched(published, tmp_path):
    pairdex.pull(published.url, tmp_path / "copy")
    shutil.copy(tmp_path / "copy/image/00000.npy", tmp_path / "mine.npy")
    (tmp_path / "copy/image/00000.npy").unlink()
    (tmp_path / "copy/image/00000.npy").symlink_to(tmp_path / "mine.npy")
    (tmp_path / "mine.npy").write_bytes(b"mine")
    pairdex.pull(published.url, tmp_path / "copy")
    assert (tmp_path / "mine.npy").read_bytes() == b"mine"
    assert not (tmp_path / "copy/image/00000.npy").is_symlink()


def test_a_parsed_list_gives_back_its_bytes(published):
    data = (published.folder / LISTING).read_bytes()
    assert parse_listing(data, "here").sealed() == data
    assert PublishedFile("a", 1, "b").name == "a"


def test_a_pipe_in_place_of_a_file_is_not_waited_for(published, tmp_path):
    (published.folder / "image/00001.npy").unlink()
    os.mkfifo(published.folder / "image/00001.npy")
    with pytest.raises(FetchFailed, match=r"00001.npy cannot be read: it is a folder, a pipe or a"):
        pairdex.pull(published.url, tmp_path / "copy")


def test_a_file_beside_indexes_does_not_remove_those_of_the_folder(published, tmp_path):
    pairdex.pull(published.url, tmp_path / "copy")
    ours = tmp_path / "copy/indexes/text/ours.npy"
    ours.parent.mkdir(parents=True)
    ours.write_bytes(b"ours")
    (published.collection / "indexes").mkdir(exist_ok=True)
    (published.collection / "indexes/x").write_bytes(b"theirs")
    published.push()
    pairdex.pull(published.url, tmp_path / "copy")
    assert (tmp_path / "copy/indexes/x").read_bytes() == b"theirs"
    assert ours.read_bytes() == b"ours"
