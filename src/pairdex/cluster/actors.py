"""The actors of all shards that a service searches: started, kept, ended."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from weakref import WeakSet

from pairdex.cluster.holder import Asked, Holder, Opened, ShardVersion
from pairdex.cluster.placement import place
from pairdex.cluster.replica import Replica
from pairdex.cluster.scatter import Call, Shard, gather
from pairdex.errors import ClusterFailed
from pairdex.knn.cosine import Neighbours
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["HeldShard", "Holding", "ShardActors", "memory_of"]

ASK_SECONDS = 28.0  # for the answers of all shards; the service gives up after 30
START_SECONDS = 60.0  # for one more actor to start: 0.5 s, more on a busy machine
_KEEP_SECONDS = 0.1  # between looks at the actors
_BASE_BYTES = 512 << 20  # of an actor's process without a shard
_SEARCHES = 4  # of one actor at the same time

_logger = logging.getLogger("pairdex.service")


@dataclass(frozen=True, eq=False)
class HeldShard:
    """A shard in the version that a searcher has opened: its replicas, its name, and its ids in the whole."""

    shard: Shard
    version: ShardVersion
    name: str
    first_id: int
    rows: int


class Holding:
    """The shards of one version of a collection. Actors hold them as long as this object exists."""

    def __init__(self, shards: Sequence[HeldShard]) -> None:
        self.shards = tuple(shards)

    def opened(self) -> list[Opened | None]:
        """Return what is known of each shard; None where no replica holds it."""
        return [_opened(one) for one in self.shards]

    def wait(self, progress: StepProgress | None) -> None:
        """Wait until each shard is held by a replica.

        Raises
        ------
        PairdexError, OSError
            A shard cannot be opened.
        ClusterFailed
            No replica of a shard lives.
        """
        alive = time.monotonic()
        rows = sum(one.rows for one in self.shards)
        while lacking := [one for one in self.shards if _opened(one) is None]:
            for one in lacking:
                for replica in one.shard.replicas:
                    if one.version in replica.failed:
                        raise replica.failed[one.version]
            if all(any(r.is_alive for r in one.shard.replicas) for one in lacking):
                alive = time.monotonic()
            elif time.monotonic() - alive > START_SECONDS:
                raise ClusterFailed(
                    f"no actor of {lacking[0].name} lives; look at the cluster with ray status"
                )
            if progress is not None:
                progress(rows - sum(one.rows for one in lacking), rows)
            time.sleep(_KEEP_SECONDS)


def _opened(held: HeldShard) -> Opened | None:
    found = (replica.held.get(held.version) for replica in held.shard.replicas)
    return next((one for one in found if one is not None), None)


class ShardActors:
    """Actors on the nodes of a cluster that this process has joined, which end with it.

    Parameters
    ----------
    replicas
        The number of actors that hold the same shard, each on a node of its own.
    """

    def __init__(self, ray: Any, *, replicas: int) -> None:  # noqa: ANN401
        self._ray = ray
        self._replicas = replicas
        self._actor = ray.remote(
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=0,
            concurrency_groups={"search": _SEARCHES, "life": 1},
        )(Holder)
        self._shards: dict[tuple[Path, int | None], Shard] = {}
        self._used: dict[str, int] = {}
        self._openings = itertools.count()
        self._holdings: WeakSet[Holding] = WeakSet()
        self._listing = Lock()
        self._starting = Lock()
        self._closing = Event()
        self._keeper = Thread(target=self._keep, daemon=True, name="pairdex-actors")
        self._keeper.start()

    def holding(self, store: Store, *, use_codes: bool) -> Holding:
        """Have the shards of an opened store held; start actors for those that have none.

        Raises
        ------
        ClusterFailed
            The nodes have too little memory, or actors do not start.
        """
        path, opening = store.path.absolute(), next(self._openings)
        numbered: list[tuple[int | None, Store]] = [(None, store)]
        if store.shards:
            numbered = list(enumerate(store.shards))
        self._start({(path, number): memory_of(shard) for number, shard in numbered})
        shards, first = [], 0
        for number, shard in numbered:
            version = ShardVersion(path, number, shard.manifest.checksum, opening, use_codes)
            name = _name(path, shard.path.absolute())
            shards.append(HeldShard(self._shards[path, number], version, name, first, shard.rows))
            first += shard.rows
        holding = Holding(shards)
        with self._listing:
            self._holdings.add(holding)
        return holding

    def ask(self, asked: Sequence[tuple[HeldShard, Asked]]) -> list[Neighbours | None]:
        """Search shards at the same time; None where no replica answers.

        Raises
        ------
        PairdexError, OSError
            The first error of a shard.
        """
        calls = [Call(held.shard, held.version, one) for held, one in asked]
        return gather(self._ray, calls, ASK_SECONDS)

    def close(self) -> None:
        """End all actors."""
        self._closing.set()
        self._keeper.join()
        for shard in self._shards.values():
            for replica in shard.replicas:
                replica.kill()

    def _start(self, sizes: dict[tuple[Path, int | None], int]) -> None:
        with self._starting:
            new = {key: size for key, size in sizes.items() if key not in self._shards}
            if not new:
                return
            placed = place(self._free(), list(new.values()), replicas=self._replicas)
            started = {
                key: Shard([self._started(key, size, node) for node in nodes])
                for (key, size), nodes in zip(new.items(), placed, strict=True)
            }
            _wait_for([one for shard in started.values() for one in shard.replicas])
            self._shards = self._shards | started

    def _started(self, key: tuple[Path, int | None], size: int, node: str) -> Replica:
        from ray.util.scheduling_strategies import (  # noqa: PLC0415 - optional
            NodeAffinitySchedulingStrategy,
        )

        where = NodeAffinitySchedulingStrategy(node, soft=True)  # elsewhere if the node is lost
        actor = self._actor.options(memory=size, scheduling_strategy=where).remote()
        self._used[node] = self._used.get(node, 0) + size
        path, number = key
        name = path.name if number is None else f"{path.name}, shard {number}"
        return Replica(self._ray, actor, f"{name} on {node[:8]}")

    def _free(self) -> dict[str, int]:
        """Return the memory of each living node that none of our actors has."""
        return {
            node["NodeID"]: int(node["Resources"].get("memory", 0))
            - self._used.get(node["NodeID"], 0)
            for node in self._ray.nodes()
            if node["Alive"]
        }

    def _keep(self) -> None:
        while not self._closing.wait(_KEEP_SECONDS):
            for shard, versions in self._wanted().items():
                shard.keep(versions)

    def _wanted(self) -> dict[Shard, list[ShardVersion]]:
        """Return the versions that each shard's actors have to hold."""
        wanted: dict[Shard, list[ShardVersion]] = {one: [] for one in self._shards.values()}
        with self._listing:
            holdings = list(self._holdings)
        for holding in holdings:
            for held in holding.shards:
                wanted.setdefault(held.shard, []).append(held.version)
        return wanted


def memory_of(shard: Store) -> int:
    """Return the memory that an actor with a shard declares: its vectors, which bound codes and indexes."""
    vectors = [
        part.files[on].bytes for part in shard.manifest.parts for on in shard.manifest.vectors
    ]
    return _BASE_BYTES + sum(vectors)


def _name(collection: Path, shard: Path) -> str:
    """Return what answers call a shard: its folder in the collection."""
    return collection.name if shard == collection else shard.relative_to(collection).as_posix()


def _wait_for(replicas: Sequence[Replica]) -> None:
    """Wait until all have started; a node starts one after another."""
    waiting, end = list(replicas), time.monotonic() + START_SECONDS
    while waiting:
        for replica in waiting:
            replica.look()
        late = [one for one in waiting if not one.is_alive]
        if len(late) < len(waiting):
            waiting, end = late, time.monotonic() + START_SECONDS
        elif time.monotonic() > end:
            raise ClusterFailed(
                f"the actor of {late[0].name} has not started for {START_SECONDS:g} s: other work may have its "
                "memory; look at the cluster with ray status"
            )
        time.sleep(_KEEP_SECONDS / 4)
