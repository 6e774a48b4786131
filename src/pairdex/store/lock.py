"""One writer at a time: a lock on the collection's folder that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairdex.errors import CollectionBusy

__all__ = ["writing"]


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
