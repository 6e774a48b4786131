"""Names that others gave to files: what is refused, and that nothing is written through a link."""

import os

import pytest

from pairdex.errors import UnsupportedFormat, WriteFailed
from pairdex.files.foreign_names import (
    MAX_NAME_BYTES,
    local_name,
    open_without_links,
    path_below,
)

HOSTILE = [
    ("", "stay in its folder"),
    (".", "stay in its folder"),
    ("..", "stay in its folder"),
    ("../victim.bin", "stay in its folder"),
    ("../../victim.bin", "stay in its folder"),
    ("a/../../victim.bin", "stay in its folder"),
    ("a/./b.bin", "stay in its folder"),
    ("a//b.bin", "stay in its folder"),
    ("a/", "stay in its folder"),
    ("/tmp/victim.bin", "stay in its folder"),
    ("..\\victim.bin", "stay in its folder"),
    ("C:\\victim.bin", "stay in its folder"),
    ("a\0.bin", "control characters"),
    ("a\n.bin", "control characters"),
    ("\x1b[2J.bin", "control characters"),
    ("a\x7f.bin", "control characters"),
    ("a\x9b.bin", "control characters"),
    ("a\udcff.bin", "is not text"),
    ("nul", "a device"),
    ("deep/CON.bin", "a device"),
    ("com1.npy", "a device"),
    ("x" * (MAX_NAME_BYTES + 1), "longer than"),
    ("ä" * (MAX_NAME_BYTES // 2 + 1), "longer than"),
    ("/".join(["deep"] * 300), "longer than"),
]


@pytest.mark.parametrize(("name", "reason"), HOSTILE)
def test_a_name_that_could_harm_is_refused_with_its_reason(name, reason):
    with pytest.raises(UnsupportedFormat, match=reason) as raised:
        local_name(name, "http://host/")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "name",
    ["a.bin", "deep/b 1.bin", "..a", "a..b", "console.npy", "ä/ö=1.npy", "x" * MAX_NAME_BYTES],
)
def test_an_ordinary_name_stays_as_it_is(name):
    assert local_name(name, "http://host/") == name


def test_a_link_between_the_folder_and_the_file_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "deep").symlink_to(outside)
    with pytest.raises(WriteFailed, match="deep is a link"):
        path_below(folder, "deep/a.bin")
    with pytest.raises(WriteFailed, match="deep is a link"):
        path_below(folder, "deep/er/a.bin")


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert path_below(tmp_path / "link", "a.bin") == tmp_path / "link" / "a.bin"


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "device"])
def test_only_regular_files_are_opened_for_writing(tmp_path, kind):
    path, victim = tmp_path / "a.part", tmp_path / "victim"
    victim.write_bytes(b"mine")
    targets = {"link": victim, "dangling": tmp_path / "nowhere", "device": "/dev/null"}
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(targets[kind])
    with pytest.raises(WriteFailed, match=r"a\.part: it is a (link|pipe)"):
        open_without_links(path, os.O_RDWR | os.O_CREAT)
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
