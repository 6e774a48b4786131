"""Local names of files that others named: a name never leaves its folder, and no link is written through.

Archives, listings, addresses and manifests say what their files are called. Each such name passes
`local_name` before it becomes part of a path, and `path_below` before something is written there.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pairdex.errors import UnsupportedFormat, WriteFailed

__all__ = ["MAX_NAME_BYTES", "local_name", "open_without_links", "path_below"]

MAX_NAME_BYTES = 200
"""Of one name; systems take 255, of which `.NAME.part.json.0123abcd.partial` needs its share."""

_MAX_PATH_BYTES = 1024  # of all names together; systems take 4,096 with the folder before it
# Names that Windows and its file shares take for a device, whatever suffix follows.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³"]
)


def local_name(foreign: str, where: str) -> str:
    """Return a foreign file's name as a path relative to the folder it belongs in, unchanged.

    Parameters
    ----------
    foreign
        The name, decoded: names separated by `/`.
    where
        Who gave it, for the message.

    Raises
    ------
    UnsupportedFormat
        The name is absolute, leaves its folder, names a device, is too long, or is not text.
    """
    reason = _refusal(foreign)
    if reason is not None:
        shown = foreign if len(foreign) <= 120 else f"{foreign[:117]}..."
        raise UnsupportedFormat(
            f"{where} names a file {shown!r}, which is refused: {reason}; rename it there"
        )
    return foreign


def path_below(folder: Path, name: str) -> Path:
    """Return the path of a checked name below a folder, unless a link on the way leads elsewhere.

    The folder itself may be a link. A link in place of the file is allowed: a rename replaces it.

    Raises
    ------
    WriteFailed
        A folder between the two is a link.
    """
    path = folder
    for piece in name.split("/")[:-1]:
        path = path / piece
        if path.is_symlink():
            raise WriteFailed(
                f"cannot write {folder / name}: {path} is a link; remove it, or choose another folder"
            )
    return folder / name


def open_without_links(path: Path, flags: int) -> int:
    """Open a regular file by the flags of `os.open`; a link, pipe or device in its place is refused.

    Raises
    ------
    WriteFailed
        The name is a link, a pipe or a device.
    OSError
        As `os.open`.
    """
    if path.is_symlink():
        raise _not_a_file(path, "a link")
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path, "a pipe or a device")
    return descriptor


def _not_a_file(path: Path, what: str) -> WriteFailed:
    return WriteFailed(
        f"cannot write {path}: it is {what}; remove it and run the same command again"
    )


def _refusal(name: str) -> str | None:
    """Return why a name is refused; None if it is not."""
    pieces = name.split("/")
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in name):
        return "it holds control characters"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "it is not text"
    if "\\" in name or any(piece in ("", ".", "..") for piece in pieces):
        return "it does not stay in its folder"
    if any(piece.partition(".")[0].strip().lower() in _DEVICES for piece in pieces):
        return "it is the name of a device"
    longest = max(len(piece.encode()) for piece in pieces)
    if longest > MAX_NAME_BYTES or len(name.encode()) > _MAX_PATH_BYTES:
        return f"it is longer than {MAX_NAME_BYTES} bytes, or {_MAX_PATH_BYTES:,} with its folders"
    return None
