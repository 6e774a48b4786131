"""What lies in the place of a file that was not fetched: a pointer to it, a web page, or nothing yet."""

from __future__ import annotations

from pathlib import Path

__all__ = ["UNFINISHED", "foreign", "unfinished"]

UNFINISHED = (".aria2", ".crdownload", ".part", ".partial", ".download", ".!qB", ".incomplete")
"""Suffixes that programs append to a file's name while they fetch it."""

_HEAD_BYTES = 1024
_BEGINNINGS: tuple[tuple[tuple[bytes, ...], str], ...] = (  # in lower case
    (
        (b"version https://git-lfs",),
        "is a Git LFS pointer, not the file itself; run git lfs pull, or pairdex fetch",
    ),
    (
        (b"/annex/objects/", b"../.git/annex/"),
        "is a git-annex pointer, not the file itself; run git annex get",
    ),
    (
        (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error", b"<title"),
        "is a web page, not the file itself; fetch it again, from another address",
    ),
    (
        (b'{"error', b'{"message', b"entry not found", b"access denied", b"404", b"not found"),
        "is a server's answer, not the file itself; fetch it again, from another address",
    ),
)


def foreign(path: Path) -> str | None:
    """Return what a file is, and what to do, where it stands for another; None if it may be the file.

    Examples: "is a Git LFS pointer, not the file itself; run git lfs pull".
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if not head:
        return "is empty; fetch it again"
    if len(head) == _HEAD_BYTES and not any(head):
        return "begins with zeros: its place was reserved, but it was not fetched; fetch it again"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = (what for beginnings, what in _BEGINNINGS if text.startswith(beginnings))
    return next(known, None)


def unfinished(path: Path) -> Path | None:
    """Return the file beside `path` that a program keeps while it fetches it; None without one."""
    beside = (path.with_name(path.name + suffix) for suffix in UNFINISHED)
    return next((other for other in beside if other.exists()), None)
