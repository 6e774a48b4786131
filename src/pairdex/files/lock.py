"""One writer at a time: locks on a collection's folders that end with the process that holds them.

Tombstones have a separate lock, so that a takedown does not wait for a build. Builds, codes, scores
and projections never write the file of tombstones, and its meaning does not depend on them.

Some file systems have no such locks (Lustre without `-o flock`, NFS without a lock daemon, some FUSE
and SMB mounts). There the work goes on after a warning.
"""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairdex.errors import CollectionBusy, WeakFileSystem, WriteFailed
from pairdex.files.os_advice import explained

__all__ = ["acquire", "removing", "taken", "writing"]

_METADATA = "metadata"  # every collection has this folder
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Lock the collection in `folder` for writing. Readers need no lock.

    Raises
    ------
    CollectionBusy
        Another process holds it.
    WriteFailed
        The folder cannot be opened.
    """
    with _opened(folder) as descriptor:
        try:
            acquire(descriptor, folder)
        except BlockingIOError as error:
            raise CollectionBusy(
                f"{folder} is being written by another process; wait until it has ended"
            ) from error
        yield


@contextmanager
def removing(collection: Path) -> Iterator[None]:
    """Lock the tombstones for writing; wait for another removal, which takes moments.

    Raises
    ------
    WriteFailed
        The collection's folder cannot be opened.
    """
    with _opened(collection / _METADATA) as descriptor:
        acquire(descriptor, collection, wait=True)
        yield


def acquire(descriptor: int, place: Path, *, wait: bool = False) -> None:
    """Lock an open file or folder until it is closed; warn where the file system has no locks.

    `place` is the path that the warning names.

    Raises
    ------
    BlockingIOError
        Another process holds the lock, and `wait` is false.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise OSError(error.errno, error.strerror, str(place)) from error
        warnings.warn(
            f"the file system of {place} has no locks ({error.strerror}): nothing keeps a second "
            "process from writing there at the same time; run one at a time",
            WeakFileSystem,
            stacklevel=1,
        )


def taken(descriptor: int) -> bool | None:
    """Lock an open file until it is closed; False if another has it, None where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise WriteFailed(f"cannot lock {explained(error, folder)}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
