"""Atomic writes: all or nothing under a name, whatever goes wrong."""

import errno
import os
from pathlib import Path

import pytest

from pairdex.errors import DamagedFile, WriteFailed
from pairdex.files import atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def break_off(path, error):
    with atomic.replacing(path) as file:
        file.write(b"half")
        raise error


def test_bytes_are_written_and_replace_what_was_there(tmp_path):
    atomic.write_bytes(tmp_path / "file", b"old")
    atomic.write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_the_name_appears_only_when_the_block_ends(tmp_path):
    with atomic.replacing(tmp_path / "file") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"half"


@pytest.mark.parametrize("raised", [ValueError, DamagedFile, KeyboardInterrupt, MemoryError])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path, raised):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(raised):
        break_off(tmp_path / "file", raised("broken off"))
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_reported_with_the_file_and_the_remedy(tmp_path, number):
    with pytest.raises(WriteFailed) as caught:
        break_off(tmp_path / "file", OSError(number, os.strerror(number)))
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'file'}: {os.strerror(number)}; "
        "free space and run the same command again"
    )
    assert names(tmp_path) == []


def test_an_error_of_what_the_caller_reads_is_left_to_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic.replacing(tmp_path / "file"):
        (tmp_path / "absent").read_bytes()
    assert not isinstance(caught.value, WriteFailed)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
def test_a_failure_while_finishing_leaves_the_old_file(tmp_path, monkeypatch, owner, step):
    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(WriteFailed, match=r"cannot write .*file: Input/output error"):
        atomic.write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_the_bytes_are_durable_before_the_name_appears(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("fsync"), fsync(fd)))
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (steps.append("rename"), replace(path, to))
    )
    atomic.write_bytes(tmp_path / "file", b"data")
    assert steps == ["fsync", "rename", "fsync"]


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(WriteFailed, match="No such file or directory; choose a writable place"):
        atomic.write_bytes(tmp_path / "absent" / "file", b"")


def test_a_folder_in_the_way_of_a_file_is_reported(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(WriteFailed, match="Is a directory"):
        atomic.write_bytes(tmp_path / "file", b"")
    assert names(tmp_path) == ["file"]


def test_a_file_in_the_way_of_a_folder_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteFailed, match="File exists"):
        atomic.make_folder(tmp_path / "file")
    with pytest.raises(WriteFailed, match="Not a directory"):
        atomic.make_folder(tmp_path / "file" / "below")


def test_a_folder_is_made_with_its_parents_and_may_exist(tmp_path):
    atomic.make_folder(tmp_path / "a" / "b")
    atomic.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_partials_of_killed_writers_are_discarded_and_nothing_else(tmp_path):
    for name in (".file.0123abcd.partial", "file", ".hidden", "notes.partial"):
        (tmp_path / name).touch()
    atomic.discard_partials(tmp_path)
    assert names(tmp_path) == [".hidden", "file", "notes.partial"]


def test_write_failed_is_an_os_error_that_reads_as_its_message():
    error = WriteFailed("cannot write x: full; free space and run the same command again")
    assert isinstance(error, OSError)
    assert str(error) == "cannot write x: full; free space and run the same command again"


def test_the_next_writer_takes_over_what_a_killed_one_has_left(tmp_path):
    left = tmp_path / ".file[1].0.partial"
    left.write_bytes(b"a longer half than the next one")
    atomic.write_bytes(tmp_path / "file[1]", b"whole")
    assert (tmp_path / "file[1]").read_bytes() == b"whole"
    assert names(tmp_path) == ["file[1]"]


def test_two_writers_of_one_file_do_not_take_from_each_other(tmp_path):
    with atomic.replacing(tmp_path / "file") as first, atomic.replacing(tmp_path / "file") as other:
        first.write(b"first")
        other.write(b"other")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("in_the_way", ["symlink_to", "hardlink_to", "mkdir", "mkfifo"])
def test_nothing_is_written_through_what_lies_in_the_way_of_a_half_file(tmp_path, in_the_way):
    victim, place = tmp_path / "victim", tmp_path / ".file.0.partial"
    victim.write_bytes(b"precious")
    if in_the_way == "mkfifo":
        os.mkfifo(place)
    else:
        getattr(place, in_the_way)(*([] if in_the_way == "mkdir" else [victim]))
    atomic.write_bytes(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert victim.read_bytes() == b"precious"


def test_files_are_written_where_there_are_no_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    atomic.write_bytes(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert names(tmp_path) == ["file"]
