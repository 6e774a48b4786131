"""One actor as the service sees it: whether it lives, and which versions of its shard it holds.

Ray notices a dead actor after one to two seconds, in which calls wait. So an actor that is slow to answer
is asked for a sign of life, which a thread of its own gives. Without one it is asked only if no other
replica is left.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Mapping, Sequence
from threading import RLock
from typing import Any

from pairdex.cluster.holder import Asked, NotHeld, Opened, ShardVersion
from pairdex.errors import ClusterFailed, PairdexError
from pairdex.knn.cosine import Neighbours

__all__ = ["PATIENCE_SECONDS", "Answer", "Replica", "answer_in"]

PATIENCE_SECONDS = 0.25  # without an answer, after which an actor is asked for a sign of life
_RETRY_SECONDS = 1.0  # before a version that could not be opened is tried again

Answer = Neighbours | PairdexError | OSError | NotHeld

_logger = logging.getLogger("pairdex.service")


def answer_in(content: bytes) -> Answer:
    """Return the answer of an actor."""
    answer: Answer = pickle.loads(content)  # noqa: S301 - from an actor, as Ray's own messages
    return answer


class Replica:
    """An actor that Ray starts again whenever its process or node is lost.

    Attributes
    ----------
    name
        Which shard it has, for logs.
    held
        The versions that it has opened.
    failed
        The versions that it could not open.
    is_alive
        Whether it has answered since it was started or lost.
    is_suspect
        Whether it owes a sign of life.
    """

    def __init__(self, ray: Any, actor: Any, name: str) -> None:  # noqa: ANN401
        self.name = name
        self.held: Mapping[ShardVersion, Opened] = {}
        self.failed: Mapping[ShardVersion, PairdexError | OSError] = {}
        self.is_alive = False
        self.is_suspect = False
        self._ray = ray
        self._actor = actor
        self._search = actor.search.options(concurrency_group="search")
        self._ping = actor.ping.options(concurrency_group="life")
        self._sign: tuple[Any, float] | None = (self._ping.remote(), time.monotonic())
        self._opening: tuple[Any, Sequence[ShardVersion]] | None = None
        self._failed_at = 0.0
        self._changing = RLock()  # the thread that keeps it, and those that search

    @property
    def is_opening(self) -> bool:
        """Whether it is about to open versions."""
        return self._opening is not None

    def search(self, version: ShardVersion, asked: Asked) -> Any:  # noqa: ANN401
        """Begin a search; return what `answer` takes."""
        return self._search.remote(pickle.dumps((version, asked), pickle.HIGHEST_PROTOCOL))

    def answer(self, reference: Any) -> Answer:  # noqa: ANN401
        """Wait for the answer of a search; `NotHeld` if the actor was lost."""
        try:
            found = answer_in(self._ray.get(reference))
        except self._ray.exceptions.RayTaskError:
            raise  # a bug, with its traceback
        except self._ray.exceptions.RayError:
            found = NotHeld()
        if isinstance(found, NotHeld):
            self.lose()
        return found

    def lose(self) -> None:
        """Note that its process was lost, and what it held."""
        with self._changing:
            if self.is_alive:
                _logger.warning("%s: an actor was lost; Ray starts it again", self.name)
            self.is_alive, self.held, self._opening = False, {}, None
            self._sign = (self._ping.remote(), time.monotonic())

    def doubt(self) -> None:
        """Ask for a sign of life, or suspect the actor if it owes one."""
        with self._changing:
            self.look()
            if self._sign is None:
                self._sign = (self._ping.remote(), time.monotonic())
            elif time.monotonic() - self._sign[1] >= PATIENCE_SECONDS:
                self.is_suspect = True

    def look(self) -> None:
        """Take a sign of life that has come."""
        with self._changing:
            if self._sign is None or not self._is_done(self._sign[0]):
                return
            try:
                self._ray.get(self._sign[0])
            except self._ray.exceptions.RayError:
                self.lose()
                return
            self.is_alive, self.is_suspect, self._sign = True, False, None

    def keep(self, versions: Sequence[ShardVersion], *, may_open: bool) -> None:
        """Take what has been opened; open these versions and forget all others, if need be."""
        with self._changing:
            self.look()
            if self._opening is not None and self._is_done(self._opening[0]):
                self._take_opened(*self._opening)
            if self.is_alive and may_open and not self.is_opening and self._lacks(versions):
                self._opening = (self._actor.hold.remote(list(versions)), versions)

    def kill(self) -> None:
        """End it for good."""
        self._ray.kill(self._actor)

    def _lacks(self, versions: Sequence[ShardVersion]) -> bool:
        if {*self.held} == {*versions}:
            return False
        tried = {*self.held, *self.failed} == {*versions}
        return not tried or time.monotonic() - self._failed_at > _RETRY_SECONDS

    def _take_opened(self, opening: Any, versions: Sequence[ShardVersion]) -> None:  # noqa: ANN401
        self._opening, self._failed_at = None, time.monotonic()
        try:
            opened = self._ray.get(opening)
        except self._ray.exceptions.RayTaskError as error:  # a bug, tried again like other failures
            _logger.exception("%s: its actor cannot open it", self.name)
            reason = str(error).strip().splitlines()[-1]
            failed = ClusterFailed(f"{self.name} cannot be opened: {reason}")
            opened = dict.fromkeys(versions, failed) | dict(self.held)
        except self._ray.exceptions.RayError:
            self.lose()
            return
        self.held = {v: one for v, one in opened.items() if isinstance(one, Opened)}
        self.failed = {v: one for v, one in opened.items() if not isinstance(one, Opened)}

    def _is_done(self, reference: Any) -> bool:  # noqa: ANN401
        done, _ = self._ray.wait([reference], timeout=0)
        return bool(done)
