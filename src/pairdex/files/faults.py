"""Surviving files that are cut short, or that their disk loses, while they are mapped.

Reading a page that a mapped file no longer has ends a process by SIGBUS. After `survive()` such a page
reads as zeros instead, and `count()` grows before the zeros can be read. What was computed while the
count grew must not be used: `checked` says so, and `atomic.replacing` does not write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pairdex import _native
from pairdex.errors import DamagedFile

__all__ = ["checked", "count", "survive"]


def survive() -> None:
    """Keep this process alive on such faults, from now on and in all threads.

    Raises
    ------
    OSError
        The signal handler cannot be installed.
    """
    if not _native.survive_faults():
        raise OSError("the handler of SIGBUS cannot be installed")


def count() -> int:
    """Return the number of lost pages that were read so far."""
    return _native.fault_count()


@contextmanager
def checked(what: str) -> Iterator[None]:
    """Raise DamagedFile at the end of the block, whatever it raised itself, if pages were lost in it.

    Parameters
    ----------
    what
        What the block does, as `reading scenes`: the beginning of the message.
    """
    before = count()
    try:
        yield
    finally:
        if count() != before:
            raise DamagedFile(
                f"{what} failed: a file was cut short, or its disk failed, while it was read; restore "
                "the file"
            )
