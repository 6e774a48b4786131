"""Deadlines of short work, watched by one thread: starting a timer for each takes longer than the work."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread

__all__ = ["Deadlines"]

_Entry = list[Callable[[], object]]
"""What to call at the deadline; empty when the work has ended."""


class Deadlines:
    """Calls something if work has not ended in time."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: list[tuple[float, int, _Entry]] = []
        self._numbers = itertools.count()
        self._thread: Thread | None = None

    @contextmanager
    def within(self, seconds: float, late: Callable[[], object]) -> Iterator[None]:
        """Call `late` from another thread if the block has not ended after some seconds."""
        entry: _Entry = [late]
        with self._changed:
            self._watch()
            item = (time.monotonic() + seconds, next(self._numbers), entry)
            heapq.heappush(self._waiting, item)
            if self._waiting[0] is item:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                entry.clear()

    def _watch(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # it has not survived a fork
            self._waiting.clear()
            self._thread = Thread(target=self._run, daemon=True, name="pairdex-deadlines")
            self._thread.start()

    def _run(self) -> None:
        with self._changed:
            while True:
                while self._waiting and not self._waiting[0][2]:
                    heapq.heappop(self._waiting)
                if not self._waiting:
                    self._changed.wait()
                    continue
                left = self._waiting[0][0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                entry = heapq.heappop(self._waiting)[2]
                entry.pop()()  # under the lock: work that ends meanwhile waits until it was called
