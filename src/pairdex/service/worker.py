"""One process of a service with several: it serves from the shared socket and reports to the group.

What it imports is little: the group's folder must be known before prometheus_client is imported.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pairdex.collection import Collection
from pairdex.errors import WeakFileSystem
from pairdex.service.policy import Policy
from pairdex.service.reverse_proxy import ReverseProxy
from pairdex.service.shared_metrics import WorkerFolder

__all__ = ["Ready", "Step", "WorkerTask", "run_worker"]


@dataclass(frozen=True)
class WorkerTask:
    """What every process of a service serves; the arguments of `serve`."""

    collections: tuple[Collection, ...]
    token: str | None
    hosts: tuple[str, ...] | None
    policy: Policy
    proxy: ReverseProxy
    configure: Callable[[], None] | None


class Ready:
    """Reports that the worker answers."""


@dataclass(frozen=True)
class Step:
    """Reports how far the worker has warmed."""

    step: str
    done: int
    total: int


def run_worker(
    task: WorkerTask,
    number: int,
    listening: socket.socket,
    folder: WorkerFolder,
    pipes: tuple[Connection, Connection],
) -> None:
    """Serve until SIGTERM, or until the process that started this one ends.

    Parameters
    ----------
    pipes
        Where to report, and what closes when the process that started this one ends.
    """
    tells, follows = pipes
    threading.Thread(target=_end_with, args=(follows,), daemon=True).start()
    warnings.simplefilter("ignore", WeakFileSystem)  # the process that started this one reports it
    folder.enter(number)
    if task.configure is not None:
        task.configure()
    from pairdex.service.server import run_task  # noqa: PLC0415 - after the folder is known

    with listening:
        run_task(
            task,
            listening,
            ready=lambda: _tell(tells, Ready()),
            processes=folder,
            progress=lambda step, done, total: _tell(tells, Step(step, done, total)),
        )


def _tell(tells: Connection, report: Ready | Step) -> None:
    with suppress(OSError):  # the group ends
        tells.send(report)


def _end_with(leader: Connection) -> None:
    """End like at SIGTERM when the process that started this one ends, even if it was killed."""
    with suppress(EOFError, OSError):
        leader.recv_bytes()  # nothing is ever sent; the wait ends when the other end closes
    os.kill(os.getpid(), signal.SIGTERM)
