"""Patterns that name several files: lists, braces like `{00000..00099}.tar`, and `*`."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pairdex.arguments import StrPath
from pairdex.errors import InvalidArgument, MissingFile

__all__ = ["local_places"]

_MAX_PLACES = 1_000_000  # a longer range is a typing mistake
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def local_places(images: StrPath | Sequence[StrPath]) -> list[Path]:
    """Return the named files and folders in order; `~` and `file:` are resolved.

    Raises
    ------
    InvalidArgument
        A remote place, or a pattern of too many files.
    MissingFile
        A pattern matches nothing, or the list is empty.
    """
    named = [images] if isinstance(images, (str, os.PathLike)) else list(images)
    found = [place for one in named for place in _places(str(one))]
    if not found:
        raise MissingFile("no pictures are named; expected a folder, tars or a table")
    return found


def _places(text: str) -> list[Path]:
    plain = Path(_local(text)).expanduser()
    if plain.exists() or not any(mark in text for mark in "{*?["):
        return [plain]
    found: list[Path] = []
    for name in _expanded(str(plain)):
        found += [Path(one) for one in sorted(glob.glob(name))] if _is_glob(name) else [Path(name)]  # noqa: PTH207
        if len(found) > _MAX_PLACES:
            raise InvalidArgument(
                f"{text} names more than {_MAX_PLACES:,} files; name their folder", field="images"
            )
    if not found:
        raise MissingFile(f"{text} fits no file")
    return found


def _local(text: str) -> str:
    if text.lower().startswith("file:"):
        return unquote(urlsplit(text).path)
    if _SCHEME.match(text):
        raise InvalidArgument(
            f"{text} is not on this machine; copy it here first (pairdex fetch does that for releases)",
            field="images",
        )
    return text


def _is_glob(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _expanded(text: str) -> Iterator[str]:
    """Yield a text for each combination of the alternatives in its braces."""
    braces = _BRACES.search(text)
    if braces is None:
        yield text
        return
    for choice in _choices(braces[1]):
        yield from _expanded(text[: braces.start()] + choice + text[braces.end() :])


def _choices(inside: str) -> Iterator[str]:
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        yield from inside.split(",")
        return
    first, last = numbers.groups()
    width = len(first) if first.startswith("0") else 0
    for number in range(int(first), int(last) + 1):
        yield f"{number:0{width}d}"
