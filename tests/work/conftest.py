"""A Ray cluster of two nodes that the tests of this folder share."""

import pytest

from pairdex.work.executors import executor_for
from ray_nodes import ray_nodes


@pytest.fixture(scope="session")
def cluster():
    """A head and one node, with one processor each."""
    with ray_nodes(1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def executor(cluster, tmp_path_factory):
    """The executor of the cluster; this process has joined it until the tests end."""
    folder = tmp_path_factory.mktemp("seen")
    with executor_for(cluster=cluster.address, folders=[folder]) as executor:
        assert list(folder.iterdir()) == []  # the probe leaves nothing behind
        yield executor


@pytest.fixture
def address(executor, cluster):
    """The address of the cluster that this process has joined."""
    assert executor
    return cluster.address
