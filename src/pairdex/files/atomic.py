"""Writing files so that neither a reader nor a crash ever sees half of one.

Invariant: a file appears under its name complete and on disk, or not at all. A killed process leaves
files named `.NAME.*.partial`, which are never read. The next writer of the same file takes over the
first of them, unless a living process has it locked.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pairdex.errors import WeakFileSystem, WriteFailed
from pairdex.files import faults, lock
from pairdex.files.foreign_names import open_without_links
from pairdex.files.os_advice import OUT_OF_SPACE

__all__ = [
    "PARTIAL",
    "append",
    "discard_partials",
    "empty_folder",
    "make_folder",
    "partials",
    "rename",
    "replacing",
    "sync",
    "sync_folder",
    "write_bytes",
]

PARTIAL = ".partial"

# What the fsync of a folder says where its file system has none: FUSE mounts of object stores, SMB.
_NO_FOLDER_SYNC = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF}
)


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises
    ------
    WriteFailed
        The folder cannot be created, or a file of that name is in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _failed(path, error) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Make `data` the content of `path`, atomically and durably.

    Raises
    ------
    WriteFailed
        The file could not be written; an older file of that name is untouched.
    """
    with replacing(path) as file:
        file.write(data)


def append(path: Path, data: bytes | memoryview) -> None:
    """Write `data` at the end of a file that is ours alone, made if need be; `sync` makes it durable.

    Raises
    ------
    WriteFailed
        The disk is full or the file cannot be written; a part of `data` may be in it.
    """
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise _failed(path, error) from error


def sync(path: Path) -> None:
    """Make what was written to a file durable.

    Raises
    ------
    WriteFailed
        The disk is full or broken.
    """
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise _failed(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes `path` when the block ends; it is removed if the block raises.

    Raises
    ------
    WriteFailed
        Disk full, read-only target or no permission; an older file of that name is untouched.
    DamagedFile
        A mapped file was cut short meanwhile: what was read from it may be wrong (`faults`).
    """
    try:
        partial, file = _opened_partial(path)
    except OSError as error:
        raise _failed(path, error) from error
    try:
        with file:
            with faults.checked(f"writing {path}"):
                yield file
            _finish(file, path)
        rename(partial, path)
    except OSError as error:
        # Other errors than a full disk come from what the caller reads, who explains them.
        if not isinstance(error, WriteFailed) and error.errno in OUT_OF_SPACE:
            raise _failed(path, error) from error
        raise
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def discard_partials(folder: Path) -> None:
    """Remove the leftovers of killed writers in `folder`. Only the holder of its lock may call this."""
    for leftover in partials(folder):
        leftover.unlink(missing_ok=True)


def partials(folder: Path, name: str = "*") -> list[Path]:
    """Return the leftovers of killed writers of the file `name` (or of any file) in `folder`."""
    escaped = name if name == "*" else glob.escape(name)
    return sorted(folder.glob(f".{escaped}.*{PARTIAL}"))


def empty_folder(folder: Path) -> None:
    """Remove all that a folder holds. Only the holder of its lock may call this."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; warn where its file system cannot do that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        warnings.warn(
            f"the file system of {folder} cannot sync folders ({error.strerror}): a power failure may "
            "lose the newest files there; if one happens, run the same command again",
            WeakFileSystem,
            stacklevel=1,
        )
    finally:
        os.close(descriptor)


def _opened_partial(path: Path) -> tuple[Path, BinaryIO]:
    """Open the file that is to become `path`: a new one, or what a killed writer has left."""
    partial = path.with_name(f".{path.name}.0{PARTIAL}")
    try:
        file: BinaryIO = partial.open("xb")
        if _is_ours(file, partial, without_locks=True):
            return partial, file
        file.close()
    except FileExistsError:
        with suppress(OSError):  # a link, a folder, or somebody else's
            file = open(partial, "r+b", opener=_opener)  # noqa: SIM115 - the caller closes it
            if _is_ours(file, partial, without_locks=False):
                file.truncate(0)
                return partial, file
            file.close()
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    return partial, partial.open("xb")


def _opener(path: str, flags: int) -> int:
    return open_without_links(Path(path), flags)


def _is_ours(file: BinaryIO, path: Path, *, without_locks: bool) -> bool:
    """Lock an opened file; return whether nobody else has it, or has renamed it since."""
    locked = lock.taken(file.fileno())
    if locked is False or (locked is None and not without_locks):
        return False
    try:
        opened, named = os.fstat(file.fileno()), path.lstat()
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino, named.st_nlink) == (opened.st_dev, opened.st_ino, 1)


def _finish(file: BinaryIO, path: Path) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise _failed(path, error) from error


def rename(partial: Path, path: Path) -> None:
    """Give a finished file its name, durably.

    Raises
    ------
    WriteFailed
        It cannot get the name.
    """
    try:
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> WriteFailed:
    reason = error.strerror or str(error)
    advice = "free space" if error.errno in OUT_OF_SPACE else "choose a writable place"
    return WriteFailed(f"cannot write {path}: {reason}; {advice} and run the same command again")
