"""Write counts, times and sizes as people read them: 1 row, 2,000 rows, 1.2 ms, 3.4 GB."""

from __future__ import annotations

__all__ = ["counted", "duration", "size"]

_MINUTE = 60
_HISSING = ("s", "x", "ch", "sh")  # nouns that end so take -es


def counted(count: int, noun: str) -> str:
    """Return a count with its noun in the singular or the plural.

    Parameters
    ----------
    count
        Any whole number.
    noun
        A regular noun in the singular. Of several words, the last one changes.

    Examples
    --------
    >>> counted(1, "row"), counted(2_000, "row"), counted(0, "image query")
    ('1 row', '2,000 rows', '0 image queries')
    """
    return f"{count:,} {noun if count == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_HISSING) else f"{noun}s"


def duration(seconds: float) -> str:
    """Return a time in the unit that fits: 98 µs, 1.2 ms, 340 ms, 3.2 s, 2 min 5 s, 1 h 3 min."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.{1 if seconds < 1e-2 else 0}f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {rest} s"
    return f"{minutes // _MINUTE:,} h {minutes % _MINUTE} min"


def size(count: int) -> str:
    """Return a number of bytes in the unit that fits: 512 B, 1.0 GB."""
    value, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" else f"{count} B"
