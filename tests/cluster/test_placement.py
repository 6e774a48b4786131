"""Shards go to the nodes that have memory for them, replicas to different nodes."""

import pytest

from pairdex.cluster.placement import place
from pairdex.errors import ClusterFailed


def test_shards_are_spread_by_memory():
    placed = place({"a": 10, "b": 10, "c": 4}, [4, 5, 3, 4], replicas=1)
    assert placed == [["b"], ["a"], ["a"], ["b"]]


def test_replicas_of_a_shard_are_on_different_nodes():
    placed = place({"a": 10, "b": 10, "c": 10}, [3, 3, 3], replicas=2)
    assert all(len({*nodes}) == 2 for nodes in placed)
    used = [node for nodes in placed for node in nodes]
    assert {used.count(node) for node in "abc"} == {2}


def test_too_few_nodes_are_refused():
    with pytest.raises(ClusterFailed, match="2 replicas of a shard need as many nodes"):
        place({"a": 10}, [1], replicas=2)
    with pytest.raises(ClusterFailed, match="and the cluster has 0 nodes"):
        place({}, [1], replicas=1)


def test_too_little_memory_is_refused_with_what_is_needed():
    with pytest.raises(
        ClusterFailed,
        match=r"2 shards with 1 replica each need 12 bytes .* declare 11, the largest 6",
    ):
        place({"a": 6, "b": 5}, [6, 6], replicas=1)
