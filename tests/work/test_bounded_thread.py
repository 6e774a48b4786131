"""Work in a thread of its own: its results, its errors, and what never ends."""

import os
import threading
import time
from concurrent.futures import TimeoutError as TooLate

import pytest

from pairdex.work.bounded_thread import BoundedThread


def test_results_and_errors_reach_the_caller():
    thread = BoundedThread()
    assert thread.run(lambda: 5, 10) == 5
    with pytest.raises(ZeroDivisionError):
        thread.run(lambda: 1 // 0, 10)
    assert thread.run(threading.get_ident, 10) == thread.run(threading.get_ident, 10)


def test_work_that_never_ends_does_not_keep_later_work_waiting():
    thread, stop = BoundedThread(), threading.Event()
    started = time.monotonic()
    with pytest.raises(TooLate):
        thread.run(stop.wait, 0.05)
    assert thread.run(lambda: 5, 10) == 5
    assert time.monotonic() - started < 5
    stop.set()


def test_the_thread_ends_with_the_object():
    thread = BoundedThread()
    running = thread.run(threading.current_thread, 10)
    del thread
    running.join(10)
    assert not running.is_alive()


def test_a_forked_process_gets_a_thread_of_its_own():
    thread = BoundedThread()
    thread.run(lambda: 5, 10)
    child = os.fork()
    if child == 0:
        os._exit(thread.run(lambda: 7, 10))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
