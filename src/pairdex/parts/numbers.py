"""Parse and format part numbers such as `0-9,12`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pairdex.errors import InvalidArgument

__all__ = ["Parts", "format_numbers", "numbers_of", "parse_numbers"]

Parts = str | Iterable[int]
"""Numbers of parts: `0-9,12`, or integers."""

_MAX_PARTS = 1_000_000  # largest range; the largest release has some thousands of parts


def parse_numbers(text: str) -> frozenset[int]:
    """Parse part numbers such as `0-9,12`.

    Raises
    ------
    InvalidArgument
        The text is not a list of numbers and ascending ranges.
    """
    numbers: set[int] = set()
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*", piece)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise InvalidArgument(
                f"the part range is {text!r}, expected numbers and ranges like 0-9,12",
                field="parts",
            )
        wanted = range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(numbers) + len(wanted) > _MAX_PARTS:
            raise InvalidArgument(
                f"the part range is {text!r}, expected at most {_MAX_PARTS:,} parts", field="parts"
            )
        numbers.update(wanted)
    return frozenset(numbers)


def format_numbers(numbers: Iterable[int]) -> str:
    """Write part numbers as `parse_numbers` reads them: 0-9,12."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def numbers_of(parts: Parts | None) -> frozenset[int] | None:
    """Return part numbers given as text such as `0-9,12` or as integers; None for all parts.

    Raises
    ------
    InvalidArgument
        The text is not a list of numbers and ascending ranges, or a number is negative.
    """
    if parts is None:
        return None
    if isinstance(parts, str):
        return parse_numbers(parts)
    numbers = frozenset(parts)
    if numbers and min(numbers) < 0:
        raise InvalidArgument(f"parts has {min(numbers)}, expected numbers from 0", field="parts")
    return numbers
