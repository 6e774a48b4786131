"""What a source of files gives: the bytes of a file from some position on.

A source opens an address at a position with the validator of the bytes that are already there. It
begins at that position only if the file is still the same; otherwise it begins at zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from pairdex.downloads.catalogue import Entry
from pairdex.errors import InvalidArgument

__all__ = ["Interrupted", "Source", "Stream", "host_of", "shown", "split_url"]


def split_url(url: str) -> SplitResult:
    """Return the pieces of an address.

    Raises
    ------
    InvalidArgument
        It is not an address: brackets that do not match, a port out of range, a host that is not a name.
    """
    try:
        split = urlsplit(url)
        _ = split.port
        (split.hostname or "").encode("idna")
    except ValueError as error:
        reason = " ".join(str(error).split())[:80]
        raise InvalidArgument(
            f"{url[:120]!r} is not an address: {reason}; expected one such as https://host/folder",
            field="release",
        ) from error
    return split


def host_of(url: str) -> str:
    """Return the host of an address, or its kind where it has none."""
    split = split_url(url)
    return split.netloc.rpartition("@")[2] or split.scheme


def shown(url: str) -> str:
    """Return an address without what may be secret in it: the password, and signatures in the query."""
    split = split_url(url)
    if not split.netloc:
        return url
    return f"{split.scheme}://{host_of(url)}{split.path}"


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from `start` on.

    `total` is the size of the whole file, None where the server does not say; `validator` changes
    when the file does, None where the server gives none.
    """

    start: int
    total: int | None
    validator: str | None
    chunks: Iterator[bytes]


class Interrupted(Exception):
    """What may go better the next time: a break, a stall, a busy server. It does not leave `releases`.

    `wait_seconds` is what the server asked for; `unreachable` says that there was no connection.
    """

    def __init__(
        self, reason: str, *, wait_seconds: float | None = None, unreachable: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_seconds = wait_seconds
        self.unreachable = unreachable


class Source(Protocol):
    """Files at addresses of one kind."""

    def open(
        self, url: str, start: int = 0, validator: str | None = None
    ) -> AbstractContextManager[Stream]:
        """Open a file at `start` if it is still the one of `validator`, else at zero.

        Raises
        ------
        FetchFailed
            It is not there, or may not be read.
        Interrupted
            Trying again may help; also while the chunks are read.
        """

    def find(self, url: str) -> list[Entry]:
        """Return the files below an address, their paths relative to it, in order.

        Raises
        ------
        FetchFailed
            There is nothing, or it cannot be listed.
        Interrupted
            Trying again may help.
        """
