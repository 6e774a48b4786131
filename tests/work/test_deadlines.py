"""Deadlines: late work is told, work in time is not, and one thread watches all."""

import os
import threading
import time

from pairdex.work.deadlines import Deadlines


def test_late_work_is_told_and_other_work_is_not():
    deadlines, told = Deadlines(), threading.Event()
    in_time = threading.Event()
    with deadlines.within(30, in_time.set), deadlines.within(0.02, told.set):
        assert told.wait(10)
    with deadlines.within(0.02, in_time.set):
        pass
    time.sleep(0.1)
    assert not in_time.is_set()


def test_an_earlier_deadline_does_not_wait_for_a_later_one():
    deadlines, told = Deadlines(), threading.Event()
    with deadlines.within(60, lambda: None):
        started = time.monotonic()
        with deadlines.within(0.02, told.set):
            assert told.wait(10)
    assert time.monotonic() - started < 5


def test_one_thread_watches_all():
    before = threading.active_count()
    deadlines = Deadlines()
    for _ in range(20):
        with deadlines.within(60, lambda: None):
            pass
    assert threading.active_count() == before + 1


def test_a_forked_process_watches_its_own_work():
    deadlines = Deadlines()
    with deadlines.within(60, lambda: None):
        child = os.fork()
        if child == 0:
            told = threading.Event()
            with deadlines.within(0.02, told.set):
                os._exit(0 if told.wait(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
