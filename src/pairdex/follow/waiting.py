"""Wait for a collection that another process holds, such as a service that makes codes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pairdex.errors import CollectionBusy

__all__ = ["when_free"]

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.1

Result = TypeVar("Result")


def when_free(action: Callable[[], Result]) -> Result:
    """Call a function that needs the collection as soon as no other process holds it.

    Raises
    ------
    CollectionBusy
        Another process has held it for a minute.
    """
    ends = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            return action()
        except CollectionBusy:  # noqa: PERF203 - it waits anyway
            time.sleep(_PAUSE_SECONDS)
    return action()
