"""The fence: processes that evaluate untrusted filters under the operating system's limits.

DuckDB accounts for only part of the memory of functions, and checks its clock only between blocks
of rows. In a fence, allocations above the memory limit fail, and a process over its time is killed.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from pairdex.predicate.evaluation import Answer, FilterFailed, connect, evaluate
from pairdex.work.answers import own_output
from pairdex.work.limits import limit_memory
from pairdex.work.processors import usable_processors

__all__ = ["MEMORY_BYTES", "Fence", "Fences", "fences", "serve"]

MEMORY_BYTES = 1 << 30
"""Memory limit of a process for filters, in addition to what it uses at its start."""

_MAX_PROCESSES = 4  # idle processes to keep; each takes about 100 MB
_START_SECONDS = (
    30.0  # time to import DuckDB and pyarrow on a busy machine, added to the filter's time
)
_LENGTH = struct.Struct("<Q")
_TOO_MUCH = "it needs more memory than a filter may use"


class Fence:
    """A process that evaluates one filter at a time."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        root = str(Path(__file__).parents[2])
        program = "import sys; sys.path.insert(0, sys.argv[1]); from pairdex.predicate import fence"
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{program}; fence.serve(int(sys.argv[2]))",
                root,
                str(memory_bytes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Arrow's default allocator reserves more memory than the limit allows.
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
            start_new_session=True,  # Ctrl-C is for the parent process
        )
        self._ready = False
        self.is_usable = True

    def evaluate(self, query: str, table: pa.Table, seconds: float) -> Answer:
        """Evaluate a filter; after an exceeded limit, the process is not reusable.

        Raises
        ------
        FilterFailed
            DuckDB failed, or a limit was exceeded.
        """
        head = json.dumps({"query": query, "seconds": seconds}).encode()
        self.is_usable = False
        try:
            self._await_start()
            deadline = time.monotonic() + seconds
            _send(self._stdin, head, _packed(table))
            answer = json.loads(self._receive(deadline))
            if "reason" in answer:
                self.is_usable = answer["reusable"]
                raise FilterFailed(answer["reason"], too_long=answer["too_long"])
            keep = np.frombuffer(self._receive(deadline), np.bool_)
        except (BrokenPipeError, EOFError) as error:
            raise FilterFailed(_TOO_MUCH) from error
        self.is_usable = True
        return Answer(answer["kind"], keep)

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        with suppress(BrokenPipeError):  # what was not sent yet
            self._stdin.close()
        self._stdout.close()
        self._process.wait()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _await_start(self) -> None:
        if not self._ready:
            self._receive(time.monotonic() + _START_SECONDS)
            self._ready = True

    def _receive(self, deadline: float) -> bytes:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        return self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytes:
        pieces = bytearray()
        descriptor = self._stdout.fileno()
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        while len(pieces) < length:
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise FilterFailed("its time is over", too_long=True)
            piece = os.read(descriptor, length - len(pieces))
            if not piece:
                raise EOFError
            pieces += piece
        return bytes(pieces)


class Fences:
    """A pool of fences: processes are started on demand, kept, and replaced after each failure."""

    def __init__(self, most: int) -> None:
        self._slots = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._idle: list[Fence] = []

    def evaluate(self, query: str, table: pa.Table, seconds: float) -> Answer:
        """Evaluate a filter in the next free process within the time limit; see `Fence.evaluate`."""
        deadline = time.monotonic() + seconds
        if not self._slots.acquire(timeout=seconds):
            raise FilterFailed("its time is over", too_long=True)
        try:
            return self._in_one(query, table, max(0.0, deadline - time.monotonic()))
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close all idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for fence in idle:
            fence.close()

    def _in_one(self, query: str, table: pa.Table, seconds: float) -> Answer:
        with self._lock:
            fence = self._idle.pop() if self._idle else None
        fence = fence or Fence()
        try:
            return fence.evaluate(query, table, seconds)
        finally:
            if fence.is_usable:
                with self._lock:
                    self._idle.append(fence)
            else:
                fence.close()


@cache
def fences() -> Fences:
    """Return this process's pool; it ends with the process."""
    pool = Fences(min(_MAX_PROCESSES, max(2, usable_processors())))
    atexit.register(pool.close)
    return pool


def serve(memory_bytes: int) -> None:
    """Evaluate filters from standard input until it ends; main function of a fence process."""
    connection = connect(threads="1")
    limit_memory(memory_bytes, "address space")
    source, sink = sys.stdin.buffer, own_output()
    with suppress(EOFError, BrokenPipeError):
        _send(sink, b"ready")
        while True:
            head = json.loads(_received(source))
            with pa.ipc.open_stream(_received(source)) as stream:
                table = stream.read_all()
            _limit_processor(head["seconds"])
            _send(sink, *_answer(connection, head["query"], table, head["seconds"]))


def _answer(connection: Any, query: str, table: pa.Table, seconds: float) -> list[bytes]:  # noqa: ANN401
    try:
        answer = evaluate(connection, query, table, seconds)
    except FilterFailed as error:
        return [_failure(error.reason, too_long=error.too_long)]
    except MemoryError:
        return [_failure(_TOO_MUCH)]
    return [json.dumps({"kind": answer.kind}).encode(), answer.keep.tobytes()]


def _failure(reason: str, *, too_long: bool = False) -> bytes:
    """Return the response to a failed filter; out of memory makes it unusable."""
    reusable = "memory" not in reason.lower()
    return json.dumps({"reason": reason, "too_long": too_long, "reusable": reusable}).encode()


def _limit_processor(seconds: float) -> None:
    """Set a CPU time limit, in case the parent process does not kill this one."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 5
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _send(sink: IO[bytes], *messages: bytes) -> None:
    for message in messages:
        sink.write(_LENGTH.pack(len(message)))
        sink.write(message)
    sink.flush()


def _received(source: IO[bytes]) -> bytes:
    length = source.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        raise EOFError
    return source.read(_LENGTH.unpack(length)[0])
