"""Giving a file a second name, or a copy that shares its blocks, instead of copying its bytes."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pairdex.files.atomic import PARTIAL, rename

__all__ = ["Link", "link"]

Link = Literal["reflink", "hard link"]

_FICLONE = 0x40049409  # ioctl of Linux: share the blocks of a file until one of the two changes
_IMPOSSIBLE = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
)


def link(source: Path, target: Path) -> Link | None:
    """Make `target` the content of `source` without copying; None where the file systems cannot.

    A reflink is tried first: it stays as it is when the source changes. A hard link does not.

    Raises
    ------
    WriteFailed
        The link cannot get its name.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        how: Link = "reflink" if _cloned(source, partial) else "hard link"
        if how == "hard link":
            partial.unlink(missing_ok=True)
            partial.hardlink_to(source)
        rename(partial, target)
    except OSError as error:
        if error.errno not in _IMPOSSIBLE:
            raise
        return None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return how


def _cloned(source: Path, target: Path) -> bool:
    with source.open("rb") as old, target.open("xb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:  # the file system has none, or they are two
            return False
        os.fsync(new.fileno())
    return True
