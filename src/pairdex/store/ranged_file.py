"""The interface of published files that are read by ranges."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

__all__ = ["RangedFile", "Ranges"]

Ranges = Iterable[tuple[int, int]]
"""Ranges of bytes of a file: (first, end) each."""


class RangedFile(Protocol):
    """A published file that is read by ranges: what was not needed reads as zeros."""

    path: Path
    bytes: int

    def need(self, ranges: Ranges) -> None:
        """Have ranges of bytes at `path`, verified.

        Raises
        ------
        FetchFailed
            They cannot be fetched, or differ from what was published.
        """
