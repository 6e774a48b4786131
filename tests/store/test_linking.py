"""Vectors that are linked: the same bytes without a copy, where nothing is dropped or converted."""

import errno
import os
import shutil

import numpy as np
import pytest

import pairdex
from pairdex.derived.verify import verify
from pairdex.files import links


@pytest.fixture
def no_reflinks(monkeypatch):
    """A file system that cannot share blocks, whatever the one of the tests can."""
    monkeypatch.setattr(links, "_cloned", lambda *_: False)


def is_shared(source, collection, kind="image", number=0):
    name = {"image": "img_emb", "text": "text_emb"}[kind]
    return (source / f"{name}_{number}.npy").samefile(collection / kind / f"{number:05d}.npy")


def test_vectors_are_linked_and_all_else_is_as_without(
    make_parts, build, tmp_path, tree, no_reflinks
):
    source = make_parts(20, 10)
    build(source, tmp_path / "copied" / "c")
    report = build(source, tmp_path / "linked" / "c", link=True)
    assert tree(tmp_path / "linked") == tree(tmp_path / "copied")
    assert is_shared(source, tmp_path / "linked" / "c")
    assert is_shared(source, tmp_path / "linked" / "c", "text", 1)
    assert report.notes == [
        "the vectors of 2 parts are the released files themselves (hard links): whoever changes those "
        "damages the collection, which pairdex verify shows"
    ]
    assert verify(tmp_path / "linked" / "c").damaged == []


def test_a_change_of_the_released_file_shows_as_damage(make_parts, build, tmp_path, no_reflinks):
    source = make_parts(20)
    build(source, tmp_path / "c", link=True)
    with (source / "img_emb_0.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"\x55")
    (damage,) = verify(tmp_path / "c").damaged
    assert damage.file == "image/00000.npy"


@pytest.mark.parametrize("options", [{"nsfw": "sisap"}, {"where": "width > 101"}, {"limit": 5}])
def test_vectors_are_copied_where_rows_are_dropped(
    make_parts, build, tmp_path, tree, no_reflinks, options
):
    source = make_parts(20)
    build(source, tmp_path / "copied" / "c", **options)
    report = build(source, tmp_path / "linked" / "c", link=True, **options)
    assert tree(tmp_path / "linked") == tree(tmp_path / "copied")
    assert not is_shared(source, tmp_path / "linked" / "c")
    assert report.notes[0].startswith("the vectors of 1 part were copied: rows were dropped")


def test_a_row_without_a_direction_is_dropped_although_links_are_asked_for(
    make_parts, build, tmp_path, no_reflinks
):
    source = make_parts(20)
    rows = np.load(source / "img_emb_0.npy")
    rows[3] = 0
    np.save(source / "img_emb_0.npy", rows)
    assert build(source, tmp_path / "c", link=True).dropped["zero"] == 1
    assert not is_shared(source, tmp_path / "c")


def test_only_what_needs_no_conversion_is_linked(make_parts, build, tmp_path, no_reflinks):
    source = make_parts(20)
    np.save(source / "text_emb_0.npy", np.load(source / "text_emb_0.npy").astype(np.float32))
    build(source, tmp_path / "c", link=True)
    assert is_shared(source, tmp_path / "c", "image")
    assert not is_shared(source, tmp_path / "c", "text")
    assert pairdex.open(tmp_path / "c").vectors("text")[:].dtype == np.float16


def test_a_link_is_followed_to_the_file(make_parts, build, tmp_path, no_reflinks):
    source = make_parts(20)
    (source / "img_emb_0.npy").rename(tmp_path / "elsewhere.npy")
    (source / "img_emb_0.npy").symlink_to(tmp_path / "elsewhere.npy")
    build(source, tmp_path / "c", link=True)
    assert not (tmp_path / "c/image/00000.npy").is_symlink()
    assert (tmp_path / "c/image/00000.npy").samefile(tmp_path / "elsewhere.npy")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_vectors_are_copied_where_the_disk_has_no_links(
    make_parts, build, tmp_path, tree, monkeypatch, no_reflinks, number
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    source = make_parts(20, 10)
    build(source, tmp_path / "copied" / "c")
    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    report = build(source, tmp_path / "linked" / "c", link=True)
    assert tree(tmp_path / "linked") == tree(tmp_path / "copied")
    assert "the files lie on another disk" in report.notes[0].replace("or ", "")


def test_a_reflink_or_a_hard_link_has_the_content_of_the_file(tmp_path):
    (tmp_path / "source").write_bytes(b"content")
    assert links.link(tmp_path / "source", tmp_path / "target") in ("reflink", "hard link")
    assert (tmp_path / "target").read_bytes() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_the_command_links(make_parts, run, tmp_path):
    source = make_parts(20, 10)
    assert (
        run("build", source, tmp_path / "c", "--link", "--workers", 2, "--json").json["rows"] == 30
    )
    assert run("verify", tmp_path / "c", "--json").json["damaged"] == []


def test_nothing_that_is_done_with_a_linked_collection_changes_the_released_files(
    make_parts, build, tmp_path, tree, no_reflinks
):
    source, linked = make_parts(20, 10), tmp_path / "c"
    build(source, linked, link=True)
    released = tree(source)
    pairdex.remove(linked, where="width < 103", reason="takedown")
    with pairdex.open(linked) as opened:
        opened.prepare("image")
        opened.search(like=15, k=3)
    pairdex.project(linked, "pca2")
    pairdex.subset(linked, tmp_path / "subset", where="width > 104")
    build(source, linked, link=True)  # again: nothing is new
    assert tree(source) == released
    assert is_shared(source, linked)

    shutil.copytree(source, tmp_path / "grown")
    (tmp_path / "grown" / "img_emb_2.npy").hardlink_to(source / "img_emb_0.npy")
    (tmp_path / "grown" / "text_emb_2.npy").hardlink_to(source / "text_emb_0.npy")
    shutil.copy(source / "metadata_0.parquet", tmp_path / "grown" / "metadata_2.parquet")
    build(tmp_path / "grown", linked, link=True)
    pairdex.push(linked, f"file://{tmp_path}/shared")
    (linked / "image/00000.npy").unlink()
    pairdex.pull(f"file://{tmp_path}/shared", linked)
    assert not is_shared(source, linked)
    assert verify(linked).damaged == []
    assert tree(source) == released


def test_a_linked_part_that_is_replaced_or_built_without_links_leaves_the_old_files_alone(
    make_parts, build, tmp_path, tree, no_reflinks
):
    source = make_parts(20, 10)
    build(source, tmp_path / "c", link=True)
    vectors = source / "img_emb_0.npy"
    old, changed = vectors.read_bytes(), np.load(vectors)[::-1].copy()
    (tmp_path / "kept.npy").hardlink_to(vectors)
    vectors.unlink()  # a new file, as a download makes it; the old one lives on in the collection
    np.save(vectors, changed)
    released = tree(source)
    build(source, tmp_path / "c", replaced=frozenset([0]))
    assert (tmp_path / "kept.npy").read_bytes() == old
    assert (tmp_path / "c/image/00000.npy").read_bytes() == old
    assert tree(source) == released
    assert verify(tmp_path / "c").damaged == []
    shutil.rmtree(tmp_path / "c")
    build(source, tmp_path / "c", where="width > 102", link=True)
    assert tree(source) == released
    assert (tmp_path / "kept.npy").read_bytes() == old


def test_a_linked_build_that_is_killed_and_built_without_links_leaves_the_released_files_alone(
    make_parts, build, tmp_path, tree, no_reflinks
):
    source = make_parts(20, 10)
    released = tree(source)
    build(source, tmp_path / "c", link=True)
    (tmp_path / "c/collection.json").unlink()  # as a kill before the manifest leaves it
    (tmp_path / "c/.build").mkdir()
    build(source, tmp_path / "c", where="width > 102")
    assert not is_shared(source, tmp_path / "c")
    assert tree(source) == released
