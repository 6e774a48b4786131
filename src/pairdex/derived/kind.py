"""The interface of derived data: where it is stored, whether it is current, how it is made and checked.

Each kind is one `DerivedKind`, and one line in `kinds.py`. See docs/decisions/derived-data.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pairdex.files.checks import Check
from pairdex.progress import Progress
from pairdex.store.store import Store

__all__ = ["DerivedInfo", "DerivedKind", "Heading"]

Heading = Literal["indexes", "look-ups", "scores", "projections", "atlas"]


@dataclass(frozen=True)
class DerivedInfo:
    """One piece of derived data, as `pairdex info` shows it.

    Attributes
    ----------
    kind, name
        The names of the kind and of the piece: `codes` and `image`, `projection` and `pca96`.
    title
        The title to display: `codes of image vectors`, `pca96`.
    rows
        The number of rows that it covers; None if that is unknown because it was made from other vectors.
    bytes
        The size of its files.
    current
        Whether it was made from the collection's current rows.
    details
        Facts that only this kind has.
    """

    kind: str
    name: str
    title: str
    rows: int | None
    bytes: int
    current: bool
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DerivedKind:
    """One kind of data that is made from a collection, and may be deleted and made again.

    Attributes
    ----------
    name
        The name of the kind in code and in `DerivedInfo.kind`: `codes`, `ivf`, `projection`.
    heading
        The heading under which `pairdex info` lists it.
    files
        Glob patterns relative to the collection's folder. Whenever data of this kind changes, at least
        one matching file changes. A running service watches these files.
    find
        Return the names of the existing pieces in a collection's folder, current or not.
    describe
        Describe one piece. Raises DamagedFile or UnsupportedFormat if it cannot be read.
    checks
        Yield a check for every file of one piece.
    make
        Make or extend one piece, with its existing settings or the defaults. Do nothing if it is current.
        None if the collection alone is not enough to make it: scores need a head.
    """

    name: str
    heading: Heading
    files: tuple[str, ...]
    find: Callable[[Path], list[str]]
    describe: Callable[[Store, str], DerivedInfo]
    checks: Callable[[Path, str], Iterator[Check]]
    make: Callable[[Path, str, Progress | None], object] | None
