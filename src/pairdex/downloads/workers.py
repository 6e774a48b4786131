"""Threads that download many files at once, and their total progress."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.download import Arrival, Downloader
from pairdex.errors import FetchFailed
from pairdex.progress import StepProgress

__all__ = ["Meter", "Result", "side_by_side"]

_JOIN_SECONDS = 1.0  # for workers to stop; partial files keep their .part name


Result = Arrival | tuple[Entry, BaseException]


class Meter:
    """Sums the workers' progress; stops them by raising `_Ended` from their progress calls."""

    def __init__(self, entries: list[Entry], progress: StepProgress | None) -> None:
        self.stop = threading.Event()
        self._totals = {entry.path: entry.expected_bytes for entry in entries}
        self._done = dict.fromkeys(self._totals, 0)
        self._sum, self._total = 0, sum(self._totals.values())
        self._report, self._lock = progress, threading.Lock()

    def progress(self, path: str, done: int) -> None:
        """Record the bytes done of a file."""
        if self.stop.is_set():
            raise _Ended
        with self._lock:
            self._sum += done - self._done[path]
            self._done[path] = done
            if self._report:
                self._report(self._sum, max(self._total, self._sum))

    def expect(self, path: str, total: int) -> None:
        """Record the size of a file."""
        with self._lock:
            self._total += total - self._totals[path]
            self._totals[path] = total


class _Ended(BaseException):
    """A worker was asked to stop."""


def side_by_side(
    entries: list[Entry], jobs: int, downloader: Downloader, stop: threading.Event
) -> list[Result]:
    """Download all files with `jobs` threads; a full disk or an interruption stops them all.

    The threads are daemons: a stalled connection does not keep the program from exiting.
    """
    waiting: queue.SimpleQueue[Entry] = queue.SimpleQueue()
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    for entry in entries:
        waiting.put(entry)

    def work() -> None:
        with suppress(queue.Empty, _Ended):
            while not stop.is_set():
                results.put(_brought(downloader, waiting.get_nowait()))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(entries)))]
    for thread in threads:
        thread.start()
    try:
        return [_unless_fatal(results.get()) for _ in entries]
    finally:
        stop.set()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _brought(downloader: Downloader, entry: Entry) -> Result:
    try:
        return downloader.bring(entry)
    except _Ended:
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised or reported in the main thread
        return entry, error


def _unless_fatal(result: Result) -> Result:
    if isinstance(result, tuple) and not isinstance(result[1], FetchFailed):
        raise result[1]
    return result
