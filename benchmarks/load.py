"""A load generator for HTTP on this machine: open loop at a rate for latency, closed loop for throughput.

An open loop sends when a clock says so, not when the last answer has come, and counts a request's time
from the moment it was due: a service that stalls is not spared the requests of that moment.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

__all__ = ["WORDS", "Load", "Wire", "arrivals", "closed_loop", "get", "open_loop", "post"]

# What the texts of requests are made of.
WORDS = [
    "red",
    "blue",
    "green",
    "yellow",
    "white",
    "black",
    "big",
    "small",
    "tiny",
    "huge",
    "car",
    "house",
    "tree",
    "cat",
    "dog",
    "fish",
    "bird",
    "boat",
    "star",
    "sun",
    "flower",
    "night",
    "snow",
    "sky",
    "field",
    "sand",
    "evening",
]


@dataclass
class Load:
    """What was sent and what came back; `seconds` of each request that was answered with 200."""

    wall: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def summary(self) -> dict[str, object]:
        """Return rate and latency in milliseconds."""
        times = np.array(self.seconds or [np.nan]) * 1e3
        quantiles = {
            f"p{q:g}_ms": round(float(np.quantile(times, q / 100)), 2) for q in (50, 95, 99, 99.9)
        }
        return {
            "per_second": round(len(self.seconds) / self.wall, 1),
            **quantiles,
            "max_ms": round(float(times.max()), 2),
            "statuses": dict(self.statuses),
        }


def post(path: str, body: bytes, host: str = "127.0.0.1") -> bytes:
    """Return the bytes of a request."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(path: str, host: str = "127.0.0.1") -> bytes:
    """Return the bytes of a request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


async def closed_loop(
    port: int, requests: Callable[[], bytes], *, connections: int, seconds: float
) -> Load:
    """Send on each connection as soon as its last answer has come."""
    load = Load()
    begun = time.perf_counter()

    async def one() -> None:
        wire = await Wire.connect(port)
        while time.perf_counter() < begun + seconds:
            sent = time.perf_counter()
            status = await wire.ask(requests())
            _note(load, status, sent)
        wire.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    load.wall = time.perf_counter() - begun
    return load


async def open_loop(
    port: int, requests: Callable[[], bytes], *, rate: float, seconds: float, connections: int
) -> Load:
    """Send at random moments, `rate` a second on average, over as many connections as it takes."""
    load = Load()
    free = asyncio.LifoQueue[Wire]()
    for _ in range(connections):
        free.put_nowait(await Wire.connect(port))
    begun = time.perf_counter()
    running: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        wire = await free.get()
        if wire.is_closed:  # the service closes what is idle for seconds
            wire = await Wire.connect(port)
        _note(load, await wire.ask(requests()), due)
        free.put_nowait(wire)

    for due in arrivals(begun, rate, seconds):
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.ensure_future(one(due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    load.wall = time.perf_counter() - begun
    while not free.empty():
        free.get_nowait().close()
    return load


def _note(load: Load, status: int, since: float) -> None:
    load.statuses[status] += 1
    if status == 200:
        load.seconds.append(time.perf_counter() - since)


def arrivals(begun: float, rate: float, seconds: float) -> Iterator[float]:
    rng = random.Random(1)
    due = begun
    while True:
        due += rng.expovariate(rate)
        if due > begun + seconds:
            return
        yield due


class Wire(asyncio.Protocol):
    """A kept connection that asks one thing at a time."""

    def __init__(self) -> None:
        self.body = b""  # of the last answer
        self._buffer = bytearray()
        self._answer: asyncio.Future[int] | None = None

    @classmethod
    async def connect(cls, port: int) -> Wire:
        """Open one."""
        _, wire = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the one who waits: status 0."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length: ")
        length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if b"transfer-encoding: chunked" in head:  # one request at a time: it ends the buffer
            length = len(self._buffer) - end - 4
            if not self._buffer.endswith(b"0\r\n\r\n"):
                return
        if len(self._buffer) < end + 4 + length or self._answer is None:
            return
        status = int(head[9:12])
        self.body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._answer.set_result(status)

    async def ask(self, request: bytes) -> int:
        """Send a request; return its answer's status, 0 if the connection broke."""
        if self.is_closed:  # nobody would answer
            return 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    @property
    def is_closed(self) -> bool:
        """Whether the other side, or this one, has closed it."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
