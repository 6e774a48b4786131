"""What all data derived from a collection has in common: where it lies, whether it is current, how it is made.

Each kind is one `DerivedKind` in a module of its own, and one line in `kinds.py`. See
docs/decisions/derived-data.md.
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
        The kind's name, and which of it: `codes` and `image`, `projection` and `pca96`.
    title
        What people call it: `codes of image vectors`, `pca96`.
    rows
        How many rows of the collection it covers; None where that is not known, because it was made
        from other vectors.
    bytes
        The size of its files.
    current
        Whether it was made from the collection's rows as they are now.
    details
        What only this kind has to say.
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
        `codes`, `ivf`, `projection`: the word for it in code and in `DerivedInfo.kind`.
    heading
        Where `pairdex info` lists it.
    files
        Patterns, relative to the collection's folder, of files one of which changes whenever data of
        this kind does. A running service watches them.
    find
        Returns the names of the data there is in a collection's folder, current or not.
    describe
        Says what one of them is. Raises DamagedFile or UnsupportedFormat where that cannot be read.
    checks
        Yields a check of every file of one of them.
    make
        Makes one of them, or extends the one there is, with the settings that it has or with the
        defaults; does nothing where it is current. None where that takes more than the collection:
        scores need a head.
    """

    name: str
    heading: Heading
    files: tuple[str, ...]
    find: Callable[[Path], list[str]]
    describe: Callable[[Store, str], DerivedInfo]
    checks: Callable[[Path, str], Iterator[Check]]
    make: Callable[[Path, str, Progress | None], object] | None
