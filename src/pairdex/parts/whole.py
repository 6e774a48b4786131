"""Find which files of a part exist and are complete, by names, links and samples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.files.foreign import UNFINISHED, unfinished
from pairdex.files.vectors import VectorFile

__all__ = ["Listing", "broken", "check_not_zeros", "entries", "folders_of"]

MAX_NUMBER = 999_999_999  # what `--parts` takes, and the column `part` holds
_PASSED_OVER = "._"  # macOS writes one beside every file on foreign file systems
_NOT_FOLDERS = ("__MACOSX",)
_SAMPLE_ROWS = 256
_FEW_ROWS = 16  # with fewer rows, most may be zeros by chance


@dataclass
class Listing:
    """The files of one kind by part number; `lost` maps a number to why its file is incomplete."""

    found: dict[int, Path] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, folders: Iterable[Path], pattern: re.Pattern[str], *, tables: bool = False
    ) -> Listing:
        """List the files that match the pattern; its first group is the number.

        Raises
        ------
        Mismatch, UnsupportedFormat
            Two files have the same number; a number is too large.
        """
        listing = cls()
        for folder in folders:
            for path in entries(folder):
                listing._add(path, pattern, tables)
        listing.found = dict(sorted(listing.found.items()))
        return listing

    def _add(self, path: Path, pattern: re.Pattern[str], tables: bool) -> None:
        name = path.name
        for suffix in UNFINISHED:
            name = name.removesuffix(suffix)
        match = pattern.fullmatch(name)
        if not match:
            return
        number = int(match[1])
        if number > MAX_NUMBER:
            raise UnsupportedFormat(
                f"{path} has the part number {match[1]}, expected at most {MAX_NUMBER:,}; rename it"
            )
        if name != path.name:
            self.lost.setdefault(
                number,
                f"{path.with_name(name)} is still being fetched ({path.name} lies there); wait until it is whole",
            )
            return
        reason = broken(path)
        if reason is not None:
            self.lost[number] = reason
        elif path.is_file() or (tables and path.is_dir()):
            other = self.found.setdefault(number, path)
            if other != path:
                raise Mismatch(
                    f"{other} and {path} are both part {number}; remove one or name its folder"
                )


def folders_of(source: Path) -> list[Path]:
    """Return a folder and its subfolders, including links to folders, that may hold parts."""
    inside = (entry for entry in entries(source) if entry.is_dir())
    return [source, *(folder for folder in inside if folder.name not in _NOT_FOLDERS)]


def entries(folder: Path) -> Iterator[Path]:
    """Yield the entries of a folder by name, without the `._` files that macOS writes."""
    return (path for path in sorted(folder.iterdir()) if not path.name.startswith(_PASSED_OVER))


def broken(path: Path) -> str | None:
    """Return why a file is missing or incomplete, by its name and link; None if unknown."""
    if path.is_symlink() and not path.exists():
        return f"{path} is a broken link (to {path.readlink()}); get the file it points to"
    beside = unfinished(path)
    if beside is not None:
        return (
            f"{path} is still being fetched ({beside.name} lies beside it); wait until it is whole"
        )
    return None


def check_not_zeros(vectors: object) -> None:
    """Raise for a file whose rows are mostly zeros: its space was reserved, but it was not fetched.

    Raises
    ------
    DamagedFile
        More than half of a sample of its rows are zeros.
    """
    if not isinstance(vectors, VectorFile) or not vectors.is_plain or vectors.rows < _FEW_ROWS:
        return
    rows = np.unique(np.linspace(0, vectors.rows - 1, _SAMPLE_ROWS, dtype=np.int64))
    is_zero = ~vectors.mapped()[rows].any(axis=1)
    if is_zero.mean() > 0.5:
        raise DamagedFile(
            f"{vectors.path} is mostly zeros ({int(is_zero.sum())} of {len(rows)} sampled rows): "
            "it was reserved but not fetched; go on fetching it, or fetch it again"
        )
