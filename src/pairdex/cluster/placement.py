"""Which node gets which shard, by the memory that nodes declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pairdex.errors import ClusterFailed
from pairdex.wording import counted

__all__ = ["place"]


def place(free: Mapping[str, int], sizes: Sequence[int], *, replicas: int) -> list[list[str]]:
    """Return the nodes of the replicas of each shard: the largest shard first, each to the emptiest node.

    Parameters
    ----------
    free
        The memory of each node in bytes.
    sizes
        The memory of each shard in bytes.

    Raises
    ------
    ClusterFailed
        There are fewer nodes than replicas of a shard, or their memory is too small.

    Examples
    --------
    >>> place({"a": 10, "b": 8}, [6, 7], replicas=1)
    [['b'], ['a']]
    """
    if len(free) < replicas:
        raise ClusterFailed(
            f"{replicas} replicas of a shard need as many nodes, and the cluster has {counted(len(free), 'node')}; "
            "start more nodes, or use fewer --replicas"
        )
    left = dict(free)
    placed: list[list[str]] = [[] for _ in sizes]
    for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        for _ in range(replicas):
            others = {node: rest for node, rest in left.items() if node not in placed[number]}
            node = max(others, key=lambda name: others[name])
            if others[node] < sizes[number]:
                raise _too_small(free, sizes, replicas)
            left[node] -= sizes[number]
            placed[number].append(node)
    return placed


def _too_small(free: Mapping[str, int], sizes: Sequence[int], replicas: int) -> ClusterFailed:
    return ClusterFailed(
        f"{counted(len(sizes), 'shard')} with {counted(replicas, 'replica')} each need {replicas * sum(sizes):,} "
        f"bytes of memory, the largest shard {max(sizes):,}, and the nodes declare {sum(free.values()):,}, the "
        f"largest {max(free.values()):,}; start more nodes or nodes with a larger --memory, use fewer "
        "--replicas, or divide the collection into smaller shards"
    )
