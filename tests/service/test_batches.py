"""Batches: at once when idle, together when busy, each its own result, none waits for ever."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from coroutines import run_to_end
from pairdex.service.batches import Batches
from pairdex.service.errors import ApiError
from pairdex.service.metrics import Metrics


def run(main, work, **options):
    async def with_batches():
        with ThreadPoolExecutor(2) as pool:
            metrics = Metrics([])
            options.setdefault("max_items", 8)
            return await main(Batches("search", work, pool=pool, metrics=metrics, **options))

    return run_to_end(with_batches())


def test_what_comes_while_nothing_runs_is_done_at_once():
    seen = []

    def work(items):
        seen.append(items)
        return [item * 2 for item in items]

    async def main(batches):
        return [await batches.run(1), await batches.run(2)]

    assert run(main, work) == [2, 4]
    assert seen == [[1], [2]]


def test_what_comes_while_a_batch_runs_goes_together_and_in_order():
    seen, may_end = [], threading.Event()

    def work(items):
        seen.append(items)
        may_end.wait(10)
        return [item * 2 for item in items]

    async def main(batches):
        first = asyncio.ensure_future(batches.run(0))
        while not seen:
            await asyncio.sleep(0)
        others = [asyncio.ensure_future(batches.run(item)) for item in range(1, 12)]
        await asyncio.sleep(0)
        may_end.set()
        results = await asyncio.gather(first, *others)
        assert batches.is_idle
        return results

    assert run(main, work) == [item * 2 for item in range(12)]
    assert seen == [[0], list(range(1, 9)), [9, 10, 11]]


def test_an_error_of_the_work_reaches_all_of_the_batch_and_no_other():
    def work(items):
        if 1 in items:
            raise ZeroDivisionError(str(items))
        return items

    async def main(batches):
        results = await asyncio.gather(batches.run(1), batches.run(2), return_exceptions=True)
        return [*results, await batches.run(3)]

    first, second, third = run(main, work)
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, ZeroDivisionError)
    assert third == 3


def test_what_is_not_done_in_time_is_refused_and_the_next_goes_on():
    may_end = threading.Event()

    def work(items):
        if items == [1]:
            may_end.wait(10)
        return items

    async def main(batches):
        stuck = asyncio.ensure_future(batches.run(1))
        await asyncio.sleep(0)
        late = asyncio.ensure_future(batches.run(2))
        results = await asyncio.gather(stuck, late, return_exceptions=True)
        may_end.set()
        return [*results, await batches.run(3)]

    *refused, done = run(main, work, seconds=0.1)
    assert done == 3
    for each in refused:
        assert isinstance(each, ApiError)
        assert (each.status_code, each.code) == (503, "timeout")
        assert each.headers == {"Retry-After": "1"}


def test_what_nobody_waits_for_any_more_is_not_done():
    seen, may_end = [], threading.Event()

    def work(items):
        seen.append(items)
        may_end.wait(10)
        return items

    async def main(batches):
        first = asyncio.ensure_future(batches.run(1))
        while not seen:
            await asyncio.sleep(0)
        gone = asyncio.ensure_future(batches.run(2))
        kept = asyncio.ensure_future(batches.run(3))
        await asyncio.sleep(0)
        gone.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await first, await kept

    assert run(main, work) == (1, 3)
    assert seen == [[1], [3]]
