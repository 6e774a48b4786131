"""Disks without locks or without the sync of folders: the work goes on after one line."""

import errno
import fcntl
import os
import re
import stat

import pytest

import pairdex
from pairdex.errors import WeakFileSystem, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.os_advice import explained

NO_LOCKS = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP]
NO_FOLDER_SYNC = [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS]


@pytest.fixture
def without_locks(monkeypatch):
    """A function that takes the locks away; they fail with the given number."""

    def take(number):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", refuse)

    return take


@pytest.fixture
def without_folder_sync(monkeypatch):
    """A function that lets the sync of folders fail with the given number, that of files not."""
    real = os.fsync

    def take(number):
        def sync(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", sync)

    return take


@pytest.mark.parametrize("number", NO_LOCKS)
def test_a_folder_without_locks_is_written_after_a_warning(tmp_path, without_locks, number):
    without_locks(number)
    with (
        pytest.warns(WeakFileSystem, match=f"{tmp_path} has no locks .*: nothing keeps a second"),
        lock.writing(tmp_path),
    ):
        pass


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF])
def test_another_error_of_a_lock_names_the_folder(tmp_path, without_locks, number):
    without_locks(number)
    with pytest.raises(OSError, match=str(tmp_path)) as caught, lock.writing(tmp_path):
        pass
    assert caught.value.errno == number


def test_a_folder_that_cannot_be_opened_is_named_with_what_to_do(tmp_path):
    with (
        pytest.raises(WriteFailed, match=r"cannot lock .*absent: No such file .*; check the spell"),
        lock.writing(tmp_path / "absent"),
    ):
        pass


@pytest.mark.parametrize("number", NO_FOLDER_SYNC)
def test_a_folder_that_cannot_be_synced_is_written_after_a_warning(
    tmp_path, without_folder_sync, number
):
    without_folder_sync(number)
    with pytest.warns(WeakFileSystem, match=r"cannot sync folders .*: a power failure may lose"):
        atomic.write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_disk_error_while_a_folder_is_synced_is_an_error(tmp_path, without_folder_sync):
    without_folder_sync(errno.EIO)
    with pytest.raises(WriteFailed, match=r"cannot write .*file: Input/output error"):
        atomic.write_bytes(tmp_path / "file", b"content")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_says_each_lack_once_and_works(
    make_parts, run, tmp_path, without_locks, without_folder_sync, workers
):
    without_locks(errno.ENOLCK)
    without_folder_sync(errno.EINVAL)
    source = make_parts(5, 3)
    built = run("build", source, tmp_path / "c", "--json", "--workers", workers)
    assert built.json["rows"] == 8
    lines = built.err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["pairdex", "note"]] * 2
    assert sum("has no locks" in line for line in lines) == 1
    assert sum("cannot sync folders" in line for line in lines) == 1
    removed = run("remove", tmp_path / "c", "--where", "row = 2", "--reason", "x", "--json")
    assert removed.json["removed"] == 2
    assert len(pairdex.open(tmp_path / "c")) == 6


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "/a/b: Permission denied; get permission"),
        (errno.ENOSPC, "/a/b: No space left on device; free space and run"),
        (errno.EMFILE, "/a/b: Too many open files; allow more open files"),
        (errno.EDOM, "/a/b: .*; check the path and the disk, then run the same command again"),
    ],
)
def test_an_error_of_the_system_is_told_with_path_and_advice(number, told):
    error = OSError(number, os.strerror(number), "/a/b")
    assert re.match(told, explained(error))
    assert explained(OSError(number, "x"), "/other").startswith("/other: x; ")


def test_an_embedded_database_is_opened_where_there_are_no_locks(tmp_path, without_locks):
    from pairdex.clickhouse.connection import _check_unused

    (tmp_path / "status").touch()
    without_locks(errno.ENOLCK)
    with pytest.warns(WeakFileSystem, match=f"{tmp_path} has no locks"):
        _check_unused(tmp_path)
