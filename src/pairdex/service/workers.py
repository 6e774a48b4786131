"""A pool of worker threads for CPU work, with a time limit for each task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from pairdex.predicate import time_limit
from pairdex.service.errors import ApiError
from pairdex.service.limits import FILTER_SECONDS, TURN_SECONDS, WORK_SECONDS, WORKERS
from pairdex.service.turns import TurnPool

__all__ = ["Workers", "bounded"]

Result = TypeVar("Result")


class Workers:
    """Runs work in threads, so that the event loop stays free."""

    def __init__(self, count: int = WORKERS, *, seconds: float = WORK_SECONDS) -> None:
        self.pool = TurnPool(count, TURN_SECONDS, thread_name_prefix="pairdex")
        self._seconds = seconds

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, or raise what it raises.

        Raises
        ------
        ApiError
            503, the time limit has passed; work that has begun keeps its thread until it ends.
        """
        waiting = asyncio.get_running_loop().run_in_executor(self.pool, bounded(work))
        try:
            return await asyncio.wait_for(waiting, self._seconds)
        except asyncio.TimeoutError as error:
            message = f"the request took longer than {self._seconds:g} seconds; ask for less, or retry later"
            raise ApiError(503, "timeout", message, headers={"Retry-After": "1"}) from error

    def close(self) -> None:
        """Accept no more work, and drop what has not begun."""
        self.pool.shutdown(wait=False, cancel_futures=True)


def bounded(work: Callable[[], Result]) -> Callable[[], Result]:
    """Return `work` with a time limit for its filters, since running work cannot be stopped from outside."""

    def within() -> Result:
        with time_limit(FILTER_SECONDS):
            return work()

    return within
