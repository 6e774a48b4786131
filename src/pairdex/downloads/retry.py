"""Retries, waits, and connection limits per host."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pairdex.downloads.streams import Interrupted
from pairdex.errors import FetchFailed

__all__ = ["Hosts", "Retry", "Tries"]


Result = TypeVar("Result")


@dataclass(frozen=True)
class Retry:
    """The limits of one fetch; clock and random numbers are passed in as functions.

    Attributes
    ----------
    attempts
        Tries without progress before a file fails; each further `progress_bytes` reset the count.
    first_attempts
        Tries to reach a host that has not answered yet and may no longer exist.
    first_delay_seconds, longest_delay_seconds
        The wait before the second try, doubled with each further try; half of it is random.
    longest_asked_seconds
        The longest accepted Retry-After of a server.
    stall_seconds
        A connection without data for this time is closed.
    connections_per_host
        Largest number of connections to one host, independent of the number of jobs.
    sleep, chance, now
        Wait for some seconds; a random number from 0 to 1; seconds since 1970.
    """

    attempts: int = 8
    first_attempts: int = 4
    progress_bytes: int = 1 << 20
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 60.0
    longest_asked_seconds: float = 600.0
    connect_seconds: float = 30.0
    stall_seconds: float = 60.0
    connections_per_host: int = 4
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    now: Callable[[], float] = time.time

    def delay_seconds(self, failures: int) -> float:
        """Return the wait after `failures` consecutive failures: exponential, upper half random."""
        longest = min(self.longest_delay_seconds, self.first_delay_seconds * 2.0 ** (failures - 1))
        return longest * (1 + self.chance()) / 2


class Hosts:
    """State of the hosts that the workers of one fetch share."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._lock = threading.Lock()
        self._slots: dict[str, threading.Semaphore] = {}
        self._not_before: dict[str, float] = {}
        self._answered: set[str] = set()
        self._silent: set[str] = set()

    @contextmanager
    def connection(self, host: str) -> Iterator[None]:
        """Hold one of the connections to `host`, after any pause that it requested."""
        with self._lock:
            slots = self._slots.setdefault(
                host, threading.Semaphore(self._retry.connections_per_host)
            )
        with slots:
            wait = self._not_before.get(host, 0.0) - self._retry.now()
            if wait > 0:
                self._retry.sleep(wait)
            yield

    def pause(self, host: str, seconds: float) -> None:
        """Pause all connections to `host`, as it requested.

        Raises
        ------
        FetchFailed
            It requests a longer wait than is allowed.
        """
        if seconds > self._retry.longest_asked_seconds:
            raise FetchFailed(
                f"{host} asks to wait {seconds:,.0f} s before the next request; run the same "
                "command again then, or try another address with --mirror"
            )
        with self._lock:
            until = self._retry.now() + seconds
            self._not_before[host] = max(until, self._not_before.get(host, 0.0))

    def note_answer(self, host: str) -> None:
        """Record that `host` answered."""
        self._answered.add(host)

    def note_silence(self, host: str) -> None:
        """Record that all tries to reach `host` failed."""
        self._silent.add(host)

    def attempts(self, host: str) -> int:
        """Return the number of tries to reach `host`; 1 if all tries for another file failed."""
        if host in self._silent:
            return 1
        known = host in self._answered
        return self._retry.attempts if known else self._retry.first_attempts


class Tries:
    """The tries for one file from one host."""

    def __init__(self, host: str, hosts: Hosts, retry: Retry) -> None:
        self._host, self._hosts, self._retry = host, hosts, retry
        self._failures = 0

    def wait_after(self, error: Interrupted, gained_bytes: int = 0) -> None:
        """Wait before the next try.

        Raises
        ------
        FetchFailed
            The tries are used up.
        """
        progressed = gained_bytes >= self._retry.progress_bytes
        self._failures = 1 if progressed else self._failures + 1
        limit = self._retry.attempts
        if error.unreachable:
            limit = min(limit, self._hosts.attempts(self._host))
        if self._failures >= limit:
            if error.unreachable:
                self._hosts.note_silence(self._host)
            times = f", {self._failures} times in a row" if self._failures > 1 else ""
            raise FetchFailed(f"{error.reason}{times}") from error
        if error.wait_seconds is None:  # otherwise `Hosts.pause` pauses all connections to the host
            self._retry.sleep(self._retry.delay_seconds(self._failures))

    def persist(self, work: Callable[[], Result]) -> Result:
        """Return the result of `work`; retry as often as allowed.

        Raises
        ------
        FetchFailed
            The tries are used up.
        """
        while True:
            try:
                return work()
            except Interrupted as error:  # noqa: PERF203 - to try again is the loop's purpose
                self.wait_after(error)
