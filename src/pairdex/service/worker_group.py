"""Several processes behind one socket: started together, restarted when they die, ended together.

All of them accept connections from the same socket, so that a connection waits for the first that is
free, and none is refused while one is being replaced. They map the same files and share their memory.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from pairdex.errors import PairdexError
from pairdex.progress import Progress
from pairdex.service.limits import GRACE_SECONDS, MAX_RESTART_SECONDS, RESTART_SECONDS
from pairdex.service.shared_metrics import WorkerFolder
from pairdex.service.worker import Ready, Step, WorkerTask, run_worker
from pairdex.work.process_pool import ctrl_c_blocked

__all__ = ["WorkerGroup"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_SECONDS = 5.0  # after their time to finish requests, for workers to end; then they are killed

_logger = logging.getLogger("pairdex.service")


@dataclass
class _Worker:
    """One process of the group, and where it reports."""

    number: int
    process: SpawnProcess
    reports: connection.Connection
    leads: connection.Connection  # the worker ends when it closes
    started: float = field(default_factory=time.monotonic)
    is_ready: bool = False


class WorkerGroup:
    """The processes of a service.

    Parameters
    ----------
    task
        What each of them serves.
    listening
        The socket they share.
    workers
        Their number.
    """

    def __init__(self, task: WorkerTask, listening: socket.socket, workers: int) -> None:
        self._task = task
        self._listening = listening
        self._numbers = range(workers)
        self._workers: dict[int, _Worker] = {}
        self._waiting: dict[int, float] = {}  # numbers to start again, and when
        self._delays: dict[int, float] = {}
        self._restarts = 0
        self._folder: WorkerFolder

    def run(self, *, ready: Callable[[], None], progress: Progress | None) -> None:
        """Serve until a signal ends it, then raise that signal again.

        Parameters
        ----------
        ready
            Called once all workers answer.
        progress
            Called as (step, rows done, rows) while the first worker warms.

        Raises
        ------
        PairdexError
            A worker ended before it answered for the first time.
        """
        with _signals() as (wakes, received), TemporaryDirectory(prefix="pairdex-") as folder:
            self._folder = WorkerFolder(Path(folder))
            try:
                for number in self._numbers:
                    self._start(number)
                self._watch(wakes, received, ready, progress)
            finally:
                self._end(received)
        for number in reversed(received):
            signal.raise_signal(number)

    def _watch(
        self,
        wakes: int,
        received: list[int],
        ready: Callable[[], None],
        progress: Progress | None,
    ) -> None:
        is_announced = False
        while not received:
            for told in connection.wait([wakes, *self._sources()], self._seconds_to_next_start()):
                if told != wakes:
                    self._hear(told, is_announced, progress)
            if not is_announced and all(worker.is_ready for worker in self._workers.values()):
                is_announced = True
                ready()
            for number in [n for n, when in self._waiting.items() if when <= time.monotonic()]:
                del self._waiting[number]
                self._start(number)

    def _sources(self) -> list[connection.Connection | int]:
        reports: list[connection.Connection | int] = [w.reports for w in self._workers.values()]
        return reports + [worker.process.sentinel for worker in self._workers.values()]

    def _seconds_to_next_start(self) -> float | None:
        if not self._waiting:
            return None
        return max(0.0, min(self._waiting.values()) - time.monotonic())

    def _hear(self, told: object, is_announced: bool, progress: Progress | None) -> None:
        """Take a report of a worker, or note that it has ended."""
        for worker in list(self._workers.values()):
            if told is worker.reports:
                with suppress(EOFError, OSError):  # it ends; its sentinel says so too
                    self._take(worker, worker.reports.recv(), progress)
                    return
                self._replace(worker, is_announced)
            elif told == worker.process.sentinel and not worker.reports.poll():
                self._replace(worker, is_announced)

    def _take(self, worker: _Worker, report: Ready | Step, progress: Progress | None) -> None:
        if isinstance(report, Ready):
            worker.is_ready = True
            self._delays.pop(worker.number, None)
        elif progress is not None and worker.number == 0:
            progress(report.step, report.done, report.total)

    def _replace(self, worker: _Worker, is_announced: bool) -> None:
        """Note that a worker has ended by itself, and start another, later each time it is in vain."""
        status = _forget(worker)
        del self._workers[worker.number]
        self._folder.forget(worker.number, worker.process.pid)
        if not is_announced:
            raise PairdexError(
                f"worker {worker.number} of {len(self._numbers)} ended ({status}) before it answered; "
                "the reason is above, or memory ran out: use fewer --workers"
            )
        delay = 0.0 if worker.is_ready else self._delays.get(worker.number, RESTART_SECONDS)
        self._delays[worker.number] = min(max(2 * delay, RESTART_SECONDS), MAX_RESTART_SECONDS)
        self._waiting[worker.number] = time.monotonic() + delay
        self._restarts += 1
        self._folder.set_restarts(self._restarts)
        again = f"in {delay:g} seconds" if delay else "now"
        _logger.error(
            "worker %d (process %s) ended: %s; another starts %s",
            worker.number,
            worker.process.pid,
            status,
            again,
        )

    def _start(self, number: int) -> None:
        context = get_context("spawn")
        reports, tells = context.Pipe(duplex=False)
        follows, leads = context.Pipe(duplex=False)
        process = context.Process(
            target=run_worker,
            args=(self._task, number, self._listening, self._folder, (tells, follows)),
            name=f"pairdex-worker-{number}",
        )
        with ctrl_c_blocked(), tells, follows:
            process.start()
        self._workers[number] = _Worker(number, process, reports, leads)

    def _end(self, received: list[int]) -> None:
        """End all workers: they finish their requests, unless a second signal comes."""
        self._listening.close()
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS + _LAST_SECONDS
        signals = max(1, len(received))
        while self._workers and time.monotonic() < deadline and len(received) <= signals:
            connection.wait([worker.process.sentinel for worker in self._workers.values()], 0.1)
            for worker in [w for w in self._workers.values() if not w.process.is_alive()]:
                _forget(self._workers.pop(worker.number))
        for worker in self._workers.values():
            worker.process.kill()
            _forget(worker)
        self._workers.clear()


def _forget(worker: _Worker) -> str:
    """Collect an ended worker; return how it ended."""
    worker.process.join()
    status = worker.process.exitcode or 0
    worker.reports.close()
    worker.leads.close()
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


@contextmanager
def _signals() -> Iterator[tuple[int, list[int]]]:
    """Collect Ctrl-C and SIGTERM inside the block; yield what wakes at them, and their list."""
    received: list[int] = []
    wakes, wake = os.pipe()

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        os.write(wake, b"!")

    is_main = threading.current_thread() is threading.main_thread()  # others cannot handle signals
    before = {number: signal.signal(number, note) for number in _SIGNALS} if is_main else {}
    try:
        yield wakes, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(wakes)
        os.close(wake)
