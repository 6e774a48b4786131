"""Fixtures of downloads: a web server with faults, time that passes only by waiting, bytes."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fault_server import Fault, FaultServer, Served
from pairdex.downloads.retry import Retry

__all__ = ["TABLE", "Fault", "Served", "some_bytes"]

_buffer = pa.BufferOutputStream()
pq.write_table(pa.table({"url": ["https://example.org/0.jpg"]}), _buffer)
TABLE = _buffer.getvalue().to_pybytes()
"""A small Parquet file."""


@pytest.fixture
def server():
    world = FaultServer()
    yield world
    world.stop()


@dataclass
class Clock:
    """Time that passes only by waiting."""

    seconds: float = 1_700_000_000.0
    waits: list = field(default_factory=list)

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def retry(clock):
    """The default retry, but without waiting, and with the least chance."""

    def make(**limits):
        given = {"attempts": 4, "stall_seconds": 10.0} | limits
        return Retry(sleep=clock.sleep, now=lambda: clock.seconds, chance=lambda: 0.0, **given)

    return make


def some_bytes(count, seed=0):
    return np.random.default_rng(seed).bytes(count)


@pytest.fixture
def data():
    """The function that makes bytes: (count, seed)."""
    return some_bytes
