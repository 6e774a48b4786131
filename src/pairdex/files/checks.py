"""Checks of files that were written earlier: is each still what it was? `pairdex verify` is a list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.files import checksums

__all__ = ["Check", "RecordedFile", "checksum_check", "reading_check"]


@dataclass(frozen=True)
class Check:
    """One file to verify.

    Attributes
    ----------
    file
        Its path, relative to the collection's folder.
    bytes
        How much there is to read.
    find_damage
        Reads the file; returns how it differs from what was written, None if it does not.
    remedy
        What to do about damage.
    """

    file: str
    bytes: int
    find_damage: Callable[[], str | None]
    remedy: str


class RecordedFile(Protocol):
    """A file as a manifest or a note records it."""

    @property
    def path(self) -> str:
        """Its path, relative to a folder."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def checksum(self) -> str:
        """Its XXH3-128."""


def checksum_check(collection: Path, file: RecordedFile, *, remedy: str, folder: str = "") -> Check:
    """Return the check that a file has the size and the checksum that were recorded.

    Parameters
    ----------
    folder
        The folder of the collection that the file's path is relative to; the collection's own by default.
    """
    inside = str(Path(folder, file.path))
    return Check(inside, file.bytes, partial(_difference, collection / inside, file), remedy)


def reading_check(
    collection: Path, path: Path, read: Callable[[], object], *, remedy: str
) -> Check:
    """Return the check that a file which vouches for itself can be read.

    Parameters
    ----------
    read
        Reads the whole of it and raises DamagedFile, UnsupportedFormat or Mismatch if it is damaged.
    """
    inside = str(path.relative_to(collection))
    return Check(inside, path.stat().st_size, partial(_complaint, read), remedy)


def _difference(path: Path, file: RecordedFile) -> str | None:
    try:
        size = path.stat().st_size
        if size != file.bytes:
            return f"it has {size:,} bytes, expected {file.bytes:,}"
        checksum = checksums.of_file(path)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if checksum != file.checksum:
        return f"its checksum is {checksum}, expected {file.checksum}"
    return None


def _complaint(read: Callable[[], object]) -> str | None:
    """Call `read`; return its error message if the file is damaged, else None."""
    try:
        read()
    except (DamagedFile, UnsupportedFormat, Mismatch) as error:
        return str(error)
    return None
