"""A service whose vectors are on a Ray cluster: joined, spread, and watched.

This process is a client of Ray, which ends such processes 60 seconds after its control process is lost.
The service goes on meanwhile, and ends by itself before that: with one line, so that a supervisor starts it
again.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pairdex.cluster.actors import ShardActors
from pairdex.cluster.searcher import ClusterSearcher
from pairdex.collection import Collection
from pairdex.errors import ClusterFailed, InvalidArgument
from pairdex.search.finder import Finder, MakeSearcher
from pairdex.search.searcher import Searcher
from pairdex.service.limits import CONTROL_SECONDS
from pairdex.store.manifest import MANIFEST
from pairdex.store.store import Store

__all__ = ["ClusterOptions", "ControlWatch", "spread"]

_WATCH_SECONDS = 1.0  # between looks at the control process, and for it to accept a connection

_logger = logging.getLogger("pairdex.service")


@dataclass(frozen=True)
class ClusterOptions:
    """The address of a Ray cluster, or auto; and how many nodes hold each shard."""

    address: str
    replicas: int = 1


class ControlWatch:
    """Watches the control process of a cluster.

    Parameters
    ----------
    address
        Its host and port.
    seconds
        After these without it, the service ends.
    """

    def __init__(self, address: str, *, seconds: float = CONTROL_SECONDS) -> None:
        self.address = address
        self._seconds = seconds
        self._closing = threading.Event()
        self._is_lost = False

    def start(self, end: Callable[[], object]) -> None:
        """Call `end` from another thread when it is lost."""
        threading.Thread(
            target=self._watch, args=(end,), daemon=True, name="pairdex-control"
        ).start()

    def close(self) -> None:
        """Watch no longer."""
        self._closing.set()

    def check(self) -> None:
        """Raise ClusterFailed if it was lost."""
        if self._is_lost:
            raise ClusterFailed(
                f"Ray's control process at {self.address} has not answered for {self._seconds:g} s, so the "
                "service ends; start the cluster and the service again"
            )

    def _watch(self, end: Callable[[], object]) -> None:
        seen = time.monotonic()
        is_said = False
        while not self._closing.wait(_WATCH_SECONDS):
            if self._answers():
                seen, is_said = time.monotonic(), False
                continue
            if not is_said:
                is_said = True
                _logger.error(
                    "Ray's control process at %s does not answer: lost actors stay lost, and the service "
                    "ends in %g seconds unless it answers again",
                    self.address,
                    self._seconds,
                )
            if time.monotonic() - seen >= self._seconds:
                self._is_lost = True
                end()
                return

    def _answers(self) -> bool:
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _WATCH_SECONDS).close()
        except OSError:
            return False
        return True


@contextmanager
def spread(
    collections: Sequence[Collection], options: ClusterOptions
) -> Iterator[tuple[list[Collection], ControlWatch]]:
    """Join a cluster, start actors for all shards, and yield the collections, searched by them.

    Raises
    ------
    InvalidArgument
        The address is wrong, or a collection was opened at an address.
    MissingExtra
        Ray is not installed.
    ClusterFailed
        The cluster cannot be reached; a node does not see a collection; or their memory is too small.
    """
    from pairdex.work.ray_cluster import connected  # noqa: PLC0415 - Ray is optional

    for collection in collections:
        if collection.finder.store.published is not None:
            raise InvalidArgument(
                f"a cluster needs the folder of a collection, and {collection.path} is a cache; pull it to a "
                "folder that all nodes see",
                field="collections",
            )
    folders = [collection.finder.store.path.absolute() for collection in collections]
    before = signal.getsignal(signal.SIGTERM)
    with connected(options.address, folders, folders[-1] / MANIFEST):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray takes it for itself
        import ray  # noqa: PLC0415 - optional

        actors = ShardActors(ray, replicas=options.replicas)

        def make(store: Store, *, use_codes: bool) -> Searcher:
            return ClusterSearcher(store, actors, use_codes=use_codes)

        watch = ControlWatch(ray.get_runtime_context().gcs_address)
        try:
            yield [_searched_by(make, collection.finder) for collection in collections], watch
        finally:
            watch.close()
            actors.close()


def _searched_by(make: MakeSearcher, finder: Finder) -> Collection:
    """Return a collection whose vectors are compared elsewhere."""
    same = Finder(
        finder.store, model=finder.model_source, use_codes=finder.use_codes, make_searcher=make
    )
    return Collection(same)
