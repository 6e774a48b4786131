"""Walking a folder of pictures: links are followed once, traps are named, nothing foreign is taken."""

import os
import socket

from pairdex.encoders.scan import scan_folder


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pictures(scan):
    return sorted(scan.pictures())


def test_a_linked_folder_is_followed_and_recorded(tmp_path):
    touch(tmp_path, "photos/a.jpg", "elsewhere/b.jpg", "elsewhere/deep/c.jpg")
    (tmp_path / "photos/album").symlink_to(tmp_path / "elsewhere")
    scan = scan_folder(tmp_path / "photos")
    assert pictures(scan) == ["a.jpg", "album/b.jpg", "album/deep/c.jpg"]
    assert scan.linked == [str(tmp_path / "elsewhere")]


def test_links_in_circles_and_links_to_what_is_here_end(tmp_path):
    touch(tmp_path, "a/b.jpg", "other/d.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "parent").symlink_to(tmp_path.parent)
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a/b.jpg")
    scan = scan_folder(tmp_path)
    assert pictures(scan) == ["a/b.jpg", "other/d.jpg"]
    assert sorted(scan.repeated) == ["a/up", "again", "b.jpg", "parent"]
    assert list(scan.closed) == ["a/self"]


def test_two_links_to_one_folder_count_once(tmp_path):
    touch(tmp_path, "photos/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "photos/x").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/y").symlink_to(tmp_path / "elsewhere")
    scan = scan_folder(tmp_path / "photos")
    assert pictures(scan) == ["a.jpg", "x/b.jpg"]
    assert scan.repeated == ["y"]


def test_a_link_to_a_disk_that_is_not_there_is_a_folder_not_looked_at(tmp_path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "album").symlink_to("/none/of/this")
    (tmp_path / "b.jpg").symlink_to("/none.jpg")
    scan = scan_folder(tmp_path)
    assert scan.closed == {"album": "it is a link to /none/of/this: No such file or directory"}
    assert scan.troubles == {"b.jpg": "it is a link to /none.jpg: No such file or directory"}


def test_fifos_sockets_and_devices_are_named_and_not_opened(tmp_path):
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "d.jpg"))
        scan = scan_folder(tmp_path)
    assert pictures(scan) == ["a.jpg"]
    assert scan.troubles == {
        "b.jpg": "it is a FIFO, expected a picture",
        "c.jpg": "it is a device, expected a picture",
        "d.jpg": "it is a socket, expected a picture",
    }


def test_what_systems_put_beside_pictures_is_passed_over(tmp_path):
    touch(tmp_path, "a.jpg", "._a.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg/THUMB.jpg", ".hidden/b.jpg")
    touch(tmp_path, "collection/collection.json", "collection/c.jpg")
    assert pictures(scan_folder(tmp_path)) == ["a.jpg"]


def test_pictures_of_kinds_that_are_not_read_are_named(tmp_path):
    touch(tmp_path, "a.SVG", "b.CR2", "c.jxl", "notes.txt")
    scan = scan_folder(tmp_path)
    assert pictures(scan) == []
    assert sorted(scan.troubles) == ["a.SVG", "b.CR2", "c.jxl"]
    assert scan.troubles["b.CR2"] == "it is a camera's raw file; export it as JPEG"
