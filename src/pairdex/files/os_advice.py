"""What the operating system's errors mean to a user: the path, the reason and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

__all__ = ["OUT_OF_SPACE", "advice", "explained"]

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OTHERWISE = "check the path and the disk, then run the same command again"
_ADVICE = {
    **dict.fromkeys(OUT_OF_SPACE, "free space and run the same command again"),
    errno.EACCES: "get permission for it, or name another place",
    errno.EPERM: "get permission for it, or name another place",
    errno.EROFS: "choose a writable place",
    errno.ENOENT: "check the spelling of the path",
    errno.ENOTDIR: "a file is in the way of a folder; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "name another place",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle; mend them",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs: the system has too many open files",
    errno.ENOMEM: "free memory and run the same command again",
    errno.EIO: "the disk reports an error: check it, and copy the file from elsewhere",
    errno.ESTALE: "the network disk has lost the file; mount it again",
    errno.ENOTCONN: "the disk is not mounted; mount it again",
    errno.ETIMEDOUT: "the network disk does not answer; check it and run the same command again",
    errno.ETXTBSY: "another program uses it; wait until it has ended",
    errno.EBUSY: "another program uses it; wait until it has ended",
}


def advice(error: OSError) -> str:
    """Return what to do about an error of the operating system."""
    return _ADVICE.get(error.errno or 0, _OTHERWISE)


def explained(error: OSError, path: Path | str | None = None) -> str:
    """Return path, reason and advice as one line; `path` is for errors that name none."""
    place = path or error.filename
    reason = error.strerror or str(error) or type(error).__name__
    return ": ".join(str(word) for word in (place, reason) if word) + f"; {advice(error)}"
