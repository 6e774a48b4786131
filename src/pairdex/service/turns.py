"""Threads that take turns: short work runs one piece at a time, and long work makes nobody wait for long.

Threads of Python that all have work hinder each other: each of their many short calls of NumPy, Arrow or
DuckDB gives the interpreter's lock away and must wait to get it back. With four threads a service
answered fewer requests than with one, and later. But with one thread, a slow filter would hold up all
others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["TurnPool", "Turns"]

Result = TypeVar("Result")


class Turns:
    """One holder at a time, which loses its turn after some seconds if another waits.

    Parameters
    ----------
    seconds
        After these, work goes on, but no longer alone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._holder: object | None = None
        self._since = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and end it with the block."""
        me = object()
        with self._changed:
            while self._holder is not None and (left := self._left()) > 0:
                self._changed.wait(left)
            self._holder, self._since = me, time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                if self._holder is me:
                    self._holder = None
                    self._changed.notify()

    def _left(self) -> float:
        return self._since + self._seconds - time.monotonic()


class TurnPool(ThreadPoolExecutor):
    """A pool whose threads take turns."""

    def __init__(self, count: int, seconds: float, *, thread_name_prefix: str) -> None:
        super().__init__(count, thread_name_prefix=thread_name_prefix)
        self._turns = Turns(seconds)

    def submit(
        self,
        work: Callable[..., Result],
        /,
        *args: Any,  # noqa: ANN401 - as the base class
        **named: Any,  # noqa: ANN401
    ) -> Future[Result]:
        """Run `work` in a thread, when it is its turn."""
        return super().submit(self._in_turn, work, *args, **named)

    def _in_turn(self, work: Callable[..., Result], *args: Any, **named: Any) -> Result:  # noqa: ANN401
        with self._turns.turn():
            return work(*args, **named)
