"""Coroutines run to their end, in a thread of their own: Playwright keeps an event loop in the main one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def run_to_end(coroutine):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
