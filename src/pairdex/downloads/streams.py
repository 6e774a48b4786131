"""The interface of file sources: streams of a file's bytes from a position on.

A source opens an address at a position, with the validator of the bytes already received. It starts
at that position only if the file is unchanged; otherwise it starts at zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from pairdex.downloads.catalogue import Entry
from pairdex.errors import FetchFailed, InvalidArgument

__all__ = ["Interrupted", "NotThere", "Source", "Stream", "host_of", "shown", "split_url"]


def split_url(url: str) -> SplitResult:
    """Split an address into its components.

    Raises
    ------
    InvalidArgument
        The address is invalid: unbalanced brackets, a port out of range, or an invalid host name.
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
    """Return the host of an address, or its scheme if it has no host."""
    split = split_url(url)
    return split.netloc.rpartition("@")[2] or split.scheme


def shown(url: str) -> str:
    """Return an address without its secrets: the password, and signatures in the query."""
    split = split_url(url)
    if not split.netloc:
        return url
    return f"{split.scheme}://{host_of(url)}{split.path}"


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from `start` on.

    `total` is the size of the whole file; None if the server does not state it. `validator` changes
    whenever the file does; None if the server does not send one.
    """

    start: int
    total: int | None
    validator: str | None
    chunks: Iterator[bytes]


class NotThere(FetchFailed):
    """The address names no file."""


class Interrupted(Exception):
    """A failure worth a retry: a broken connection, a stall, a busy server.

    `wait_seconds` is the wait that the server requested; `unreachable` is True if the connection
    failed. It never leaves `downloads`.
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
        self, url: str, start: int = 0, validator: str | None = None, stop: int | None = None
    ) -> AbstractContextManager[Stream]:
        """Open a file at `start` if it still matches `validator`, else at zero.

        With `stop`, only the bytes before it are asked for. More may come from a server without ranges,
        whose streams begin at zero.

        Raises
        ------
        NotThere
            The file does not exist.
        FetchFailed
            The file is not readable.
        Interrupted
            A retry may help; also raised while the chunks are read.
        """

    def find(self, url: str) -> list[Entry]:
        """Return the files below an address, with paths relative to it, in order.

        Raises
        ------
        FetchFailed
            The address does not exist or cannot be listed.
        Interrupted
            A retry may help.
        """
