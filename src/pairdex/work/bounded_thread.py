"""A thread that does work which may never end, while its caller waits only so long."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

__all__ = ["BoundedThread"]

Result = TypeVar("Result")
_Asked = SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]  # None: end


class BoundedThread:
    """Does one piece of work after another in a thread of its own; a piece that takes too long is left to itself.

    The thread is kept as long as this object, because starting one takes longer than short work. It does
    not keep the process from ending.
    """

    def __init__(self) -> None:
        self._one_at_a_time = Lock()
        self._thread: Thread | None = None
        self._asked: _Asked = SimpleQueue()

    def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """Return what `work` returns, or raise what it raises.

        Raises
        ------
        concurrent.futures.TimeoutError
            It has not ended after `seconds`; it keeps its thread, and later work gets another.
        """
        found: Future[Result] = Future()
        with self._one_at_a_time:
            if self._thread is None or not self._thread.is_alive():  # it has not survived a fork
                self._asked = SimpleQueue()
                self._thread = Thread(target=_work, args=(self._asked,), daemon=True)
                self._thread.start()
                weakref.finalize(self, self._asked.put, None)
            self._asked.put((work, found))
            try:
                return found.result(seconds)
            finally:
                if not found.done():
                    self._thread = None


def _work(asked: _Asked) -> None:
    while (one := asked.get()) is not None:
        work, found = one
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            found.set_exception(error)
        del one, work, found  # nothing of the last piece is kept while waiting
