"""Run coroutines in a separate thread, because Playwright has an event loop in the main thread."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def run_to_end(coroutine):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
