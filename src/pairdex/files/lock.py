"""One writer at a time: locks on a collection's folders that end with the process that holds them.

Tombstones have a separate lock, so that a takedown does not wait for a build. Builds, codes, scores
and projections never write the file of tombstones, and its meaning does not depend on them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairdex.errors import CollectionBusy

__all__ = ["removing", "writing"]

_METADATA = "metadata"  # every collection has this folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Lock the collection in `folder` for writing. Readers need no lock.

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
    """Lock the tombstones for writing; wait for another removal, which takes moments."""
    descriptor = os.open(collection / _METADATA, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
