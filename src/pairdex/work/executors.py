"""Call a function for each of many items: in this process, in processes beside it, or on a Ray cluster.

Items are idempotent pieces of work that write their own files. So an executor may run one again after a
process or a machine was lost, and the same command resumes an interrupted run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from pairdex.errors import InvalidArgument
from pairdex.work.process_pool import ctrl_c_blocked, process_pool

__all__ = [
    "Advance",
    "Executor",
    "LocalExecutor",
    "check_workers",
    "do_all",
    "executor_for",
    "seen_alike",
]

Item = TypeVar("Item")
Result = TypeVar("Result")

Advance = Callable[[int], None]
"""Called with the amount done since the last call."""


class Executor(Protocol):
    """Where pieces of work run."""

    @property
    def is_here(self) -> bool:
        """Whether items run in this process, one after the other."""

    def each(
        self, do: Callable[[Item], Result], items: Sequence[Item], *, memory_bytes: int
    ) -> Iterator[tuple[int, Result]]:
        """Call `do` for each item, and yield its place and the result when it is done, in any order.

        The first error ends the work: items that run are stopped, and the error is raised.

        Parameters
        ----------
        do
            A function of a module. It, the items and the results are pickled.
        memory_bytes
            The most memory that one item needs.
        """


class LocalExecutor:
    """Runs items in up to `workers` processes of this machine; 1: in this process."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @property
    def is_here(self) -> bool:
        """Whether there are no further processes."""
        return self._workers == 1

    def each(
        self,
        do: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        memory_bytes: int,  # noqa: ARG002 - the user chose the number of workers
    ) -> Iterator[tuple[int, Result]]:
        """Call `do` for each item; see `Executor.each`.

        Raises
        ------
        WriteFailed
            A worker was killed from outside.
        """
        if self._workers == 1 or len(items) < 2:
            for place, item in enumerate(items):
                yield place, do(item)
            return
        with process_pool(min(self._workers, len(items))) as pool:
            with ctrl_c_blocked():
                places = {pool.submit(do, item): place for place, item in enumerate(items)}
            for future in as_completed(places):
                yield places[future], future.result()


def do_all(
    executor: Executor,
    do: Callable[[Item, Advance | None], Result],
    items: Sequence[Item],
    sizes: Sequence[int],
    advance: Advance,
    *,
    memory_bytes: int,
) -> list[Result]:
    """Do all items, and return their results in order.

    Parameters
    ----------
    do
        A function of a module: does an item, unless an interrupted call has finished it. It reports what
        it does, unless it is called with None.
    sizes
        The amount of each item. Where items run elsewhere, it is reported when the item is done.
    memory_bytes
        The most memory that one item needs.
    """
    if executor.is_here:
        return [do(item, advance) for item in items]
    results: dict[int, Result] = {}
    for place, result in executor.each(partial(_silently, do), items, memory_bytes=memory_bytes):
        results[place] = result
        advance(sizes[place])
    return [results[place] for place in range(len(items))]


def _silently(do: Callable[[Item, Advance | None], Result], item: Item) -> Result:
    return do(item, None)


def check_workers(workers: int, cluster: str | None) -> None:
    """Raise InvalidArgument unless there is at least one worker, and one only with a cluster."""
    if workers < 1:
        raise InvalidArgument(f"workers is {workers}, expected at least 1", field="workers")
    if cluster is not None and workers > 1:
        raise InvalidArgument(
            "workers are processes of this machine, and a cluster has its own; leave out one",
            field="workers",
        )


def seen_alike(path: Path, cluster: str | None) -> Path:
    """Return a path that means the same to all who work: nodes of a cluster have other working folders."""
    return path if cluster is None else path.resolve()


@contextmanager
def executor_for(
    *,
    workers: int = 1,
    cluster: str | None = None,
    folders: Sequence[Path] = (),
    witness: Path | None = None,
) -> Iterator[Executor]:
    """Yield the executor that options ask for.

    Parameters
    ----------
    cluster
        The address of a Ray cluster, or `auto`; None: this machine.
    folders
        Existing folders that all nodes of a cluster must see. They are probed.
    witness
        A file in the last folder that all nodes must see alike. None: a file is written there for this.

    Raises
    ------
    InvalidArgument
        Both workers and a cluster are given, or the address is wrong.
    MissingExtra, ClusterFailed
        Ray is not installed; the cluster cannot be reached, or a node does not see a folder.
    """
    if cluster is None:
        yield LocalExecutor(workers)
        return
    check_workers(workers, cluster)
    from pairdex.work.ray_cluster import connected  # noqa: PLC0415 - Ray is optional

    with connected(cluster, folders, witness) as executor:
        yield executor
