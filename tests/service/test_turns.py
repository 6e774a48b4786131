"""Threads that take turns: alone while it is short, and nobody waits long behind what is long."""

import threading
import time

import pytest

from pairdex.service.turns import TurnPool, Turns

LONG = 30.0


@pytest.fixture
def pool():
    with TurnPool(4, LONG, thread_name_prefix="test") as pool:
        yield pool


def test_only_one_works_at_a_time(pool):
    inside, most, guard = 0, 0, threading.Lock()

    def work(number):
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        time.sleep(0.001)
        with guard:
            inside -= 1
        return number

    assert list(pool.map(work, range(50))) == list(range(50))
    assert most == 1


def test_work_gives_what_it_returns_and_raises_what_it_raises(pool):
    assert pool.submit(pow, 2, 3).result() == 8
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result()
    assert pool.submit(int, "11", base=2).result() == 3  # the turn of what failed has ended


def test_others_go_on_while_long_work_goes_on():
    ends = threading.Event()
    with TurnPool(3, 0.01, thread_name_prefix="test") as pool:
        stuck = [pool.submit(ends.wait, LONG) for _ in range(2)]
        assert pool.submit(lambda: 5).result(LONG) == 5
        assert not any(one.done() for one in stuck)
        ends.set()
        assert all(one.result(LONG) for one in stuck)


def test_a_turn_that_was_lost_does_not_end_another_one():
    turns, begun, ends = Turns(0.01), threading.Event(), threading.Event()

    def long():
        with turns.turn():
            begun.set()
            ends.wait(LONG)

    thread = threading.Thread(target=long)
    thread.start()
    begun.wait(LONG)
    with turns.turn():
        holder = turns._holder
        ends.set()
        thread.join()
        assert turns._holder is holder
    assert turns._holder is None
