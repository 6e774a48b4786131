"""How long to try, how long to wait, and how much to ask of one host."""

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
    """The limits of one fetch; time and chance come in as functions.

    Attributes
    ----------
    attempts
        Tries without progress before a file is given up; `progress_bytes` more of it begin anew.
    first_attempts
        Tries to reach a host that has not answered yet: it may not exist any more.
    first_delay_seconds, longest_delay_seconds
        The wait before the second try, doubled with every further one, half of it by chance.
    longest_asked_seconds
        The longest wait that is granted to a server that asks for one (Retry-After).
    stall_seconds
        A connection that gives nothing for so long is broken off.
    connections_per_host
        However many jobs there are: the hosts of these releases serve them for nothing.
    sleep, chance, now
        Wait some seconds; a number of 0 to 1; the seconds since 1970.
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
        """Return the wait after so many failures in a row: exponential, the upper half by chance."""
        longest = min(self.longest_delay_seconds, self.first_delay_seconds * 2.0 ** (failures - 1))
        return longest * (1 + self.chance()) / 2


class Hosts:
    """What the workers of one fetch know of the hosts in common."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._lock = threading.Lock()
        self._slots: dict[str, threading.Semaphore] = {}
        self._not_before: dict[str, float] = {}
        self._answered: set[str] = set()
        self._silent: set[str] = set()

    @contextmanager
    def connection(self, host: str) -> Iterator[None]:
        """Hold one of the connections to `host`, after the pause that it has asked for."""
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
        """Let nobody connect to `host` for so long: it has asked for it.

        Raises
        ------
        FetchFailed
            It asks for more than is granted.
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
        """Remember that `host` is there."""
        self._answered.add(host)

    def note_silence(self, host: str) -> None:
        """Remember that `host` could not be reached in all tries."""
        self._silent.add(host)

    def attempts(self, host: str) -> int:
        """Return how often to try to reach `host`; once if all tries for another file failed."""
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
            There have been enough.
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
        if error.wait_seconds is None:  # else all connections to the host pause: `Hosts.pause`
            self._retry.sleep(self._retry.delay_seconds(self._failures))

    def persist(self, work: Callable[[], Result]) -> Result:
        """Return what `work` gives, tried again as often as is granted.

        Raises
        ------
        FetchFailed
            There have been enough tries.
        """
        while True:
            try:
                return work()
            except Interrupted as error:  # noqa: PERF203 - to try again is the loop's purpose
                self.wait_after(error)
