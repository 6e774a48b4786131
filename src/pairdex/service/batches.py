"""Batches: requests that arrive at the same time share one run of the work.

A request that arrives while nothing runs starts at once. Requests that arrive while a batch runs form
the next batch. No request waits for others to arrive, and batches grow with the load. Everything but
the work itself runs on the event loop's thread, so no lock is needed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

from pairdex.service.errors import ApiError
from pairdex.service.limits import WORK_SECONDS
from pairdex.service.metrics import Metrics
from pairdex.service.workers import bounded

__all__ = ["Batches"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(Generic[Item, Result]):
    """An item whose result is awaited."""

    __slots__ = ("item", "result", "since")

    def __init__(self, item: Item, loop: asyncio.AbstractEventLoop) -> None:
        self.item = item
        self.result: asyncio.Future[Result] = loop.create_future()
        self.since = time.perf_counter()


class Batches(Generic[Item, Result]):
    """Collects items and passes them to `work` on a worker thread, one batch at a time.

    Parameters
    ----------
    stage
        Name of the work in the metrics.
    work
        Takes items and returns one result for each, in their order. What it raises, all items raise.
    max_items
        Largest size of a batch.
    """

    def __init__(
        self,
        stage: str,
        work: Callable[[list[Item]], Sequence[Result]],
        *,
        pool: Executor,
        metrics: Metrics,
        max_items: int,
        seconds: float = WORK_SECONDS,
    ) -> None:
        self._stage = stage
        self._work = work
        self._pool = pool
        self._metrics = metrics
        self._max_items = max_items
        self._seconds = seconds
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self.is_idle = True

    async def run(self, item: Item) -> Result:
        """Return the result of an item.

        Raises
        ------
        ApiError
            503, the time limit has passed.
        """
        loop = asyncio.get_running_loop()
        one: _Waiting[Item, Result] = _Waiting(item, loop)
        timer = loop.call_later(self._seconds, self._give_up, one)
        self._waiting.append(one)
        self._metrics.waiting += 1
        if self.is_idle:
            self.is_idle = False
            loop.call_soon(self._next)  # after requests whose bodies have arrived already
        try:
            return await one.result
        finally:
            timer.cancel()

    def _next(self) -> None:
        """Start a batch of the items that still wait."""
        batch: list[_Waiting[Item, Result]] = []
        while self._waiting and len(batch) < self._max_items:
            one = self._waiting.popleft()
            self._metrics.waiting -= 1
            if not one.result.done():
                batch.append(one)
        if not batch:
            self.is_idle = True
            return
        now = time.perf_counter()
        self._metrics.batch(self._stage, [now - one.since for one in batch])
        loop = asyncio.get_running_loop()
        work = partial(self._work, [one.item for one in batch])
        done = loop.run_in_executor(self._pool, bounded(work))
        done.add_done_callback(partial(self._finish, batch))

    def _finish(
        self, batch: list[_Waiting[Item, Result]], done: asyncio.Future[Sequence[Result]]
    ) -> None:
        self._next()  # first, so that workers do not idle while responses are written
        if done.cancelled():
            error: BaseException | None = asyncio.CancelledError()
        else:
            error = done.exception()
        for place, one in enumerate(batch):
            if one.result.done():
                continue
            if error is not None:
                one.result.set_exception(error)
            else:
                one.result.set_result(done.result()[place])

    def _give_up(self, one: _Waiting[Item, Result]) -> None:
        if not one.result.done():
            message = f"the request took longer than {self._seconds:g} seconds; ask for less, or retry later"
            one.result.set_exception(
                ApiError(503, "timeout", message, headers={"Retry-After": "1"})
            )
