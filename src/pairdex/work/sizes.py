"""Sizes as people write them: 500MB, 4GB, or a number of bytes."""

from __future__ import annotations

import re
from decimal import Decimal

from pairdex.errors import InvalidArgument

__all__ = ["ByteSize", "parse_size"]

ByteSize = int | str
"""A number of bytes, or a text such as `4GB`; KB, MB, GB and TB count in thousands, KiB, … in 1,024."""

_MAX_BYTES = 2**60  # more than any machine has
_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)}
_WRITTEN = re.compile(r"\s*([0-9]{1,15}(?:[.][0-9]{1,6})?)\s*([KMGT]?I?B?)\s*", re.IGNORECASE)


def parse_size(size: ByteSize, *, field: str = "memory") -> int:
    """Return a size in bytes.

    Raises
    ------
    InvalidArgument
        Of `field`: neither a number of bytes above 0 nor a text that names one.

    Examples
    --------
    >>> parse_size("1.5GB"), parse_size("512 MB"), parse_size(4096)
    (1500000000, 512000000, 4096)
    """
    n_bytes = size if isinstance(size, int) else _parsed(size)
    if n_bytes is None or not 1 <= n_bytes < _MAX_BYTES:
        raise InvalidArgument(
            f"{field} is {str(size)[:80]!r}, expected a size like 500MB or 4GB", field=field
        )
    return n_bytes


def _parsed(text: str) -> int | None:
    match = _WRITTEN.fullmatch(text)
    if match is None or match[2].upper() not in _UNITS:
        return None
    return int(Decimal(match[1]) * _UNITS[match[2].upper()])
