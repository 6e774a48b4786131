"""Ask several shards at once, each by one of its replicas, and by another where that does not answer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

from pairdex.cluster.holder import Asked, NotHeld, ShardVersion
from pairdex.cluster.replica import PATIENCE_SECONDS, Answer, Replica, answer_in
from pairdex.errors import PairdexError
from pairdex.knn.cosine import Neighbours

__all__ = ["Call", "Shard", "gather"]


class Shard:
    """The replicas of one shard."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = tuple(replicas)
        self._turn = itertools.count()

    def pick(self, version: ShardVersion, tried: set[Replica]) -> Replica | None:
        """Return a replica that holds a version; by turns, a suspect one last. None if none is left."""
        able = [one for one in self.replicas if version in one.held and one not in tried]
        sure = [one for one in able if not one.is_suspect] or able
        return sure[next(self._turn) % len(sure)] if sure else None

    def keep(self, versions: Sequence[ShardVersion]) -> None:
        """Have all replicas hold these versions. They open them one after another: the first makes the codes."""
        for replica in self.replicas:
            others = any(one.is_opening for one in self.replicas if one is not replica)
            replica.keep(versions, may_open=not others)


class Call:
    """A search of one shard."""

    def __init__(self, shard: Shard, version: ShardVersion, asked: Asked) -> None:
        self.found: Answer | None = None
        self.waiting: dict[Any, Replica] = {}
        self._shard, self._version, self._asked = shard, version, asked
        self._tried: set[Replica] = set()

    def ask(self) -> None:
        """Ask one more replica, if there is one."""
        replica = self._shard.pick(self._version, self._tried)
        if replica is not None:
            self._tried.add(replica)
            self.waiting[replica.search(self._version, self._asked)] = replica

    def take(self, reference: Any) -> None:  # noqa: ANN401
        """Take an answer that has come; ask another replica if it was lost."""
        answer = self.waiting.pop(reference).answer(reference)
        if isinstance(answer, NotHeld):
            self.ask()
        else:
            self.found, self.waiting = answer, {}

    def doubt(self) -> None:
        """Ask another replica if those that were asked give no sign of life."""
        for replica in self.waiting.values():
            replica.doubt()
        if self.waiting and all(replica.is_suspect for replica in self.waiting.values()):
            self.ask()


def gather(ray: Any, calls: Sequence[Call], seconds: float) -> list[Neighbours | None]:  # noqa: ANN401
    """Make calls at the same time; return the answer of each, None where no replica answers in time.

    Raises
    ------
    PairdexError, OSError
        The first error of a shard.
    """
    end = time.monotonic() + seconds
    for call in calls:
        call.ask()
    if not _all_at_once(ray, calls):
        _one_by_one(ray, calls, end)
    return [_checked(call.found) for call in calls]


def _all_at_once(ray: Any, calls: Sequence[Call]) -> bool:  # noqa: ANN401
    """Take all answers in one step, which is the fastest; return False if one is late or lost."""
    references = [one for call in calls for one in call.waiting]
    try:
        answers = [answer_in(one) for one in ray.get(references, timeout=PATIENCE_SECONDS)]
    except ray.exceptions.RayTaskError:
        raise  # a bug, with its traceback
    except ray.exceptions.RayError:
        return False
    if len(answers) < len(calls) or any(isinstance(one, NotHeld) for one in answers):
        return False
    for call, answer in zip(calls, answers, strict=True):
        call.found, call.waiting = answer, {}
    return True


def _one_by_one(ray: Any, calls: Sequence[Call], end: float) -> None:  # noqa: ANN401
    """Take answers as they come; doubt the actors that are late."""
    while waiting := {one: call for call in calls for one in call.waiting}:
        left = min(PATIENCE_SECONDS, end - time.monotonic())
        if left <= 0:
            return
        done, late = ray.wait(list(waiting), num_returns=_needed(calls), timeout=left)
        for reference in done:
            if reference in waiting[reference].waiting:  # not answered by another replica
                waiting[reference].take(reference)
        if late:
            for call in calls:
                call.doubt()


def _needed(calls: Sequence[Call]) -> int:
    """Return for how many answers to wait: all if nobody is asked twice."""
    counts = [len(call.waiting) for call in calls if call.waiting]
    return len(counts) if max(counts) == 1 else 1


def _checked(found: Answer | None) -> Neighbours | None:
    if isinstance(found, PairdexError | OSError):
        raise found
    return found if isinstance(found, Neighbours) else None
