"""Real Ray nodes on this machine, for tests; they skip where Ray is absent."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

MEMORY = 4 << 30  # that each node declares
_CHECKS = {  # a dead node is noticed after 1.5 s
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OPENBLAS_NUM_THREADS": "1",
}


@contextmanager
def ray_nodes(count):
    """Start a head and `count` nodes, with one processor each; yield `ray.cluster_utils.Cluster`."""
    if find_spec("ray") is None:
        pytest.skip("Ray is absent: pip install 'pairdex[cluster]'")
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "memory": MEMORY,
            "include_dashboard": False,
            "object_store_memory": 100_000_000,
            "_system_config": _CHECKS,
        },
    )
    session = cluster.head_node.get_session_dir_path()
    try:
        for _ in range(count):
            add_node(cluster)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(session, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def add_node(cluster):
    """Start one more node with one processor, and return it."""
    return cluster.add_node(num_cpus=1, memory=MEMORY, object_store_memory=100_000_000)


def kill_node(node):
    """Kill a node's raylet, as when its machine loses power."""
    for running in node.all_processes["raylet"]:
        running.process.kill()


@contextmanager
def node_that_does_not_see(folder, cluster):
    """Start a node from whose processes a folder is hidden; skip where that is not allowed.

    This process has joined the cluster.
    """
    hide = f"mount -t tmpfs none {folder}"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", hide], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip(f"this machine allows no mounts of its own: {tried.stderr.decode().strip()}")
    start = f"{sys.executable} -m ray.scripts.scripts start --address={cluster.address} --block"
    sizes = f"--num-cpus=1 --memory={MEMORY} --object-store-memory=100000000"
    before = _alive()
    node = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f"{hide} && exec {start} {sizes}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until(lambda: _alive() > before or node.poll() is not None)
        assert node.poll() is None, "the node did not start"
        yield node
    finally:
        node.terminate()  # it ends what it has started
        node.wait(60)
        _wait_until(lambda: _alive() == before)


def _alive():
    import ray

    return sum(node["Alive"] for node in ray.nodes())


def _wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing has changed for a minute"
        time.sleep(0.05)
