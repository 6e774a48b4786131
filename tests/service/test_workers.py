"""Work in threads: bounded in number and in time."""

import asyncio
import threading

import pytest

from coroutines import run_to_end
from pairdex.service.errors import ApiError
from pairdex.service.limits import WORKERS
from pairdex.service.workers import Workers


def run(main):
    async def closing():
        workers = Workers(seconds=0.05)
        try:
            return await main(workers)
        finally:
            workers.close()

    return run_to_end(closing())


def test_work_gives_what_it_returns_and_raises_what_it_raises():
    async def main(workers):
        assert await workers.run(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)

    run(main)


def test_work_that_takes_too_long_is_refused_with_503():
    end = threading.Event()

    async def main(workers):
        with pytest.raises(ApiError) as raised:
            await workers.run(lambda: end.wait(10))
        end.set()
        return raised.value

    refused = run(main)
    assert (refused.status_code, refused.code) == (503, "timeout")
    assert refused.headers == {"Retry-After": "1"}


def test_work_that_never_began_is_dropped():
    end, begun = threading.Event(), []

    async def main(workers):
        stuck = [workers.run(lambda: end.wait(10)) for _ in range(WORKERS)]
        waiting = workers.run(lambda: begun.append(1))
        results = await asyncio.gather(*stuck, waiting, return_exceptions=True)
        end.set()
        return results

    assert all(isinstance(result, ApiError) for result in run(main))
    assert begun == []
