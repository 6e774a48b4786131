"""One writer at a time: locks on a collection's folders that die with their holder.

Tombstones have a lock of their own, since a takedown waits for no build: their file is none of those
that builds, codes, scores and projections write, and means the same before and after each of them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairdex.errors import CollectionBusy

__all__ = ["removing", "writing"]

_METADATA = "metadata"  # a folder that every collection has and keeps


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the right to write the collection in `folder`; readers need none.

    Raises
    ------
    CollectionBusy
        Another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CollectionBusy(
                f"{folder} is being written by another process; wait until it has ended"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def removing(collection: Path) -> Iterator[None]:
    """Hold the right to write the tombstones; waits for another removal, which holds it for moments."""
    descriptor = os.open(collection / _METADATA, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
