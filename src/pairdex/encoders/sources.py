"""Sources of samples to encode, in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

__all__ = ["FACTS", "PHOTO_FACTS", "Place", "Sample", "Source", "file_stamp", "not_utf8"]

# Facts read from the pictures themselves: columns and their types.
FACTS = {
    "taken": pa.timestamp("ms"),
    "camera": pa.string(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "folder": pa.string(),
    "content": pa.string(),
}
PHOTO_FACTS = ("taken", "camera", "latitude", "longitude", "folder")


@dataclass(frozen=True)
class Place:
    """Where a picture's bytes are: a whole file, `size` bytes of one from `offset`, or `data` itself."""

    path: str
    offset: int = 0
    size: int | None = None
    data: bytes | None = None


@dataclass(frozen=True)
class Sample:
    """A picture with its caption and the values of further columns.

    `name` is its path below the source's root; `place` is None if the picture is known to be
    missing, and `reason` says why. `note` is a remark to report on a sample that is kept.
    """

    name: str
    caption: str
    values: tuple[object, ...]
    place: Place | None
    reason: str = ""
    note: str = ""


class Source(Protocol):
    """Samples by number, from 0; any range of them can be listed at any time."""

    @property
    def root(self) -> Path:
        """The folder that the samples' names are relative to."""

    @property
    def schema(self) -> pa.Schema:
        """The further columns, with their types."""

    @property
    def facts(self) -> Sequence[str]:
        """The names of `FACTS` that become columns."""

    @property
    def notes(self) -> Sequence[tuple[str, str]]:
        """Notes on files that are not samples, by name."""

    @property
    def linked(self) -> Sequence[str]:
        """The outside folders that links in the root point to."""

    @property
    def has_captions(self) -> bool:
        """Whether any sample has a caption."""

    def __len__(self) -> int: ...

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the samples from `start` to before `stop`."""

    def stamp(self, start: int, stop: int) -> object:
        """Return JSON that identifies these samples' state; it changes with their content."""


def file_stamp(path: str | Path) -> tuple[int, int] | None:
    """Return a file's size and modification time; None if it does not exist."""
    try:
        status = os.stat(path)  # noqa: PTH116 - millions of times
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def not_utf8(name: str) -> str:
    """Return what to say of a name that is not UTF-8; empty if it is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"{name!a} is not a UTF-8 name; rename the file"
    return ""
