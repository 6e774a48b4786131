"""Something opened, such as a collection, that work in other processes needs too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Reopened"]

Opened = TypeVar("Opened")


class Reopened(Generic[Opened]):
    """What `open_it(*arguments)` opens. It is pickled as that call, and opened again when it is needed.

    A process keeps the last one that it opened, for the next item of work.

    Parameters
    ----------
    open_it
        A function of a module. It raises if what it opens is not what this process has opened.
    arguments
        Its arguments, hashable and the same on all machines.
    opened
        What this process has opened.
    """

    def __init__(
        self,
        open_it: Callable[..., Opened],
        arguments: tuple[Any, ...],
        opened: Opened | None = None,
    ) -> None:
        self._open_it, self._arguments, self._opened = open_it, arguments, opened

    def __reduce__(self) -> tuple[type[Reopened[Opened]], tuple[Any, ...]]:
        return type(self), (self._open_it, self._arguments)

    def get(self) -> Opened:
        """Return what is opened; raises as the function that opens it."""
        if self._opened is None:
            self._opened = _open(self._open_it, self._arguments)
        return self._opened


@functools.lru_cache(maxsize=1)
def _open(open_it: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401
    return open_it(*arguments)
