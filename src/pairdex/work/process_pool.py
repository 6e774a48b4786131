"""A pool of processes that end when the process that started them ends, even if it was killed."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from pairdex.errors import WeakFileSystem, WriteFailed

__all__ = ["ctrl_c_blocked", "process_pool"]

_PR_SET_PDEATHSIG = 1


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned processes. Submit work to it only inside `ctrl_c_blocked`.

    Raises
    ------
    WriteFailed
        A worker was killed from outside.
    """
    context = get_context("spawn")
    follows, leads = context.Pipe(duplex=False)
    with (
        follows,
        leads,
        ProcessPoolExecutor(workers, context, _follow, (follows,)) as pool,
    ):
        try:
            yield pool
        except BrokenProcessPool as error:
            raise WriteFailed(
                "a worker was killed from outside, as happens when memory runs out; "
                "run the same command again with fewer --workers"
            ) from error
        except BaseException:
            leads.close()  # the workers end at once
            raise


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Keep Ctrl-C from processes that start inside this block: this process ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(leader: Connection) -> None:
    """Make this worker end when the process that started it ends, even if it was killed."""
    warnings.simplefilter("ignore", WeakFileSystem)  # that process reports it
    with suppress(AttributeError, OSError):  # Linux: at once, even in the middle of a long call
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_end_with, args=(leader,), daemon=True).start()


def _end_with(leader: Connection) -> None:
    with suppress(EOFError, OSError):
        leader.recv_bytes()  # nothing is ever sent; the wait ends when the other end closes
    os._exit(1)
