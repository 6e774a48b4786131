"""Work on the nodes of a Ray cluster: Ray runs an item again if its worker or node is lost.

What waits for ever in Ray without a word is refused before: memory that no node has, a node that does
not see the folders, another version of pairdex.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pairdex.errors import ClusterFailed, InvalidArgument, MissingExtra, PairdexError, WriteFailed
from pairdex.version import __version__

__all__ = ["RayExecutor", "connected"]

Item = TypeVar("Item")
Result = TypeVar("Result")

NAMESPACE = "pairdex"
CONNECT_SECONDS = 5
PROBE_SECONDS = 60  # a node starts a process for its probe: seconds, more on a busy machine
POLL_SECONDS = 5.0  # between looks at the nodes while no item is done
TRIES = 3  # how often Ray runs an item again after its worker or node was lost
AHEAD = 2  # items that are submitted for each processor of the cluster

_ADDRESS = re.compile(r"auto|[A-Za-z0-9.:_\-\[\]]+:\d{1,5}")


@contextmanager
def connected(address: str, folders: Sequence[Path]) -> Iterator[RayExecutor]:
    """Join a cluster, probe its nodes, and yield the executor that uses them.

    Parameters
    ----------
    address
        `auto`, or host:port of the head. This process must run on a node of the cluster.
    folders
        Existing folders that every node must see, the last of which this process can write to.

    Raises
    ------
    InvalidArgument, MissingExtra
        The address is neither; Ray is not installed.
    ClusterFailed
        The cluster cannot be reached; a node does not see a folder, has another version, or does not
        answer.
    """
    if _ADDRESS.fullmatch(address) is None:
        raise InvalidArgument(
            f"cluster is {address!r}, expected auto or the address of a Ray cluster such as 10.0.0.1:6379",
            field="cluster",
        )
    ray = _imported()
    is_ours = not ray.is_initialized()  # a program may have joined a cluster itself
    if is_ours:
        _join(ray, address)
    else:
        _check_joined(ray, address)
    try:
        _check_nodes(ray, folders)
        yield RayExecutor(ray)
    finally:
        if is_ours:
            ray.shutdown()


def _imported() -> Any:  # noqa: ANN401 - the module of an optional package
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers otherwise
    try:
        import ray  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingExtra(
            "work on a cluster needs Ray, on every node: pip install 'pairdex[cluster]'"
        ) from error
    return ray


def _join(ray: Any, address: str) -> None:  # noqa: ANN401
    try:
        if address != "auto":  # Ray itself would try for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClusterFailed(
            f"cannot join the Ray cluster {address}: {reason}; start a node on this machine with "
            "ray start, with the same RAY_AUTH_MODE and token, and give its address"
        ) from error


def _check_joined(ray: Any, address: str) -> None:  # noqa: ANN401
    joined = ray.get_runtime_context().gcs_address
    if address not in ("auto", joined):
        raise ClusterFailed(
            f"this program has joined the Ray cluster {joined}, not {address}; call ray.shutdown() before"
        )


class RayExecutor:
    """Runs items as tasks of a Ray cluster, one processor each; this process has joined it."""

    def __init__(self, ray: Any) -> None:  # noqa: ANN401
        self._ray = ray

    @property
    def is_here(self) -> bool:
        """False: items run on the nodes."""
        return False

    def each(
        self, do: Callable[[Item], Result], items: Sequence[Item], *, memory_bytes: int
    ) -> Iterator[tuple[int, Result]]:
        """Call `do` for each item; see `Executor.each`.

        Raises
        ------
        ClusterFailed
            No node has the memory, all nodes are lost, or an item lost its worker several times.
        """
        _check_memory(_alive(self._ray), memory_bytes)
        run = self._ray.remote(num_cpus=1, memory=memory_bytes, max_retries=TRIES)(_outcome)
        at_once = max(1, int(self._ray.cluster_resources().get("CPU", 1))) * AHEAD
        todo = iter(enumerate(items))
        waiting: dict[Any, int] = {}
        try:
            while True:
                for place, item in todo:
                    waiting[run.remote(do, item)] = place
                    if len(waiting) >= at_once:
                        break
                if not waiting:
                    return
                done, _ = self._ray.wait(list(waiting), num_returns=1, timeout=POLL_SECONDS)
                if not done:
                    _check_memory(_alive(self._ray), memory_bytes)
                for reference in done:
                    yield waiting.pop(reference), self._result(reference)
        finally:
            for reference in waiting:
                self._ray.cancel(reference, force=True)

    def _result(self, reference: Any) -> Any:  # noqa: ANN401
        try:
            result, error = self._ray.get(reference)
        except (
            self._ray.exceptions.WorkerCrashedError,
            self._ray.exceptions.NodeDiedError,
            self._ray.exceptions.OutOfMemoryError,
            self._ray.exceptions.ObjectLostError,
        ) as lost:
            raise ClusterFailed(
                f"a worker of the cluster was lost {TRIES + 1} times with the same work, as happens when "
                "memory runs out; run the same command again"
            ) from lost
        if error is not None:
            raise error
        return result


def _outcome(do: Callable[[Item], Result], item: Item) -> tuple[Result | None, PairdexError | None]:
    """Run an item on a node; return its error, which Ray would wrap in one of its own."""
    try:
        return do(item), None
    except PairdexError as error:
        return None, error


def _alive(ray: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return the nodes that can run items."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def _check_memory(nodes: Sequence[dict[str, Any]], memory_bytes: int) -> None:
    largest = max((node["Resources"].get("memory", 0) for node in nodes), default=None)
    if largest is None:
        raise ClusterFailed(
            "the cluster has no node with a processor for work; start one with ray start, then run the "
            "same command again"
        )
    if largest < memory_bytes:
        raise ClusterFailed(
            f"an item of work needs {memory_bytes:,} bytes of memory, and the largest node of the cluster "
            f"declares {largest:,.0f}; start nodes with a larger --memory"
        )


@dataclass(frozen=True)
class _Seen:
    """What a node sees: its releases, and the folders that it lacks or that are others than ours."""

    version: str
    python: str
    missing: list[str]


def _check_nodes(ray: Any, folders: Sequence[Path]) -> None:  # noqa: ANN401
    """Raise ClusterFailed unless every node sees the folders and has our versions."""
    from ray.util.scheduling_strategies import (  # noqa: PLC0415 - optional
        NodeAffinitySchedulingStrategy,
    )

    nodes = _alive(ray)
    _check_memory(nodes, 0)
    with _token(folders) as (token, content):
        asked = {}
        for node in nodes:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            probe = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=here)(_look)
            asked[probe.remote([str(path) for path in folders], token, content)] = node
        done, late = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECONDS)
        for reference in late:
            raise ClusterFailed(
                f"the node {_name(asked[reference])} has not answered for {PROBE_SECONDS} s; look at it with "
                "ray status, or remove it"
            )
        for reference in done:
            _check_seen(_name(asked[reference]), _answer(ray, reference, asked[reference]))


def _answer(ray: Any, reference: Any, node: dict[str, Any]) -> _Seen:  # noqa: ANN401
    try:
        seen: _Seen = ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ClusterFailed(
            f"the node {_name(node)} cannot work: {reason}; it needs the same Python environment"
        ) from error
    return seen


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}:{node['NodeManagerPort']})"


def _check_seen(node: str, seen: _Seen) -> None:
    ours = (__version__, platform.python_version())
    if (seen.version, seen.python) != ours:
        raise ClusterFailed(
            f"the node {node} has pairdex {seen.version} on Python {seen.python}, this process has pairdex "
            f"{ours[0]} on Python {ours[1]}; install the same on every node"
        )
    if seen.missing:
        raise ClusterFailed(
            f"the node {node} does not see {seen.missing[0]} as this process does; mount it at the same "
            "path on every node"
        )


@contextmanager
def _token(folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Write a file to the last folder, and yield its path and content; it is removed afterwards."""
    if not folders:
        yield "", ""
        return
    content = secrets.token_hex(16)
    path = folders[-1] / f".{content}.probe"
    try:
        path.write_text(content)
        yield str(path), content
    except OSError as error:
        raise WriteFailed(f"cannot write {path}: {error.strerror}; check the folder") from error
    finally:
        path.unlink(missing_ok=True)


def _look(folders: Sequence[str], token: str, content: str) -> _Seen:
    """Say what this node sees."""
    missing = [folder for folder in folders if not Path(folder).is_dir()]
    if token and not missing and (not Path(token).is_file() or Path(token).read_text() != content):
        missing = [folders[-1]]
    return _Seen(__version__, platform.python_version(), missing)
