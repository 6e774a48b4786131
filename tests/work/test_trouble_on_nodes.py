"""What goes wrong on nodes is reported in one line, and running again goes on."""

import signal
import subprocess
import sys
import time
from functools import partial

import pytest

import full_disk
import pairdex
from conftest import read_tree
from full_disk import small_files
from pairdex.errors import ClusterFailed
from pairdex.exports import folders
from pairdex.work.executors import executor_for
from ray_nodes import node_that_does_not_see
from sharded import save_parts

SMALL = 50_000_000  # of an item of work

KILLED = """
import os, signal, sys
at = int(sys.argv.pop(1))
from pairdex.work.ray_cluster import RayExecutor
real = RayExecutor.each
def each(self, *args, **options):
    for number, found in enumerate(real(self, *args, **options), 1):
        yield found
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)
RayExecutor.each = each
from pairdex.cli import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def by_value():
    """Nodes cannot import these modules."""
    import ray

    ours = (sys.modules[__name__], full_disk)
    for module in ours:
        ray.cloudpickle.register_pickle_by_value(module)
    yield
    for module in ours:
        ray.cloudpickle.unregister_pickle_by_value(module)


def test_a_killed_command_is_resumed_by_the_same_one(address, tmp_path, run):
    parts = save_parts(tmp_path / "parts", (30, 20, 25, 10, 5))
    pairdex.build(parts, tmp_path / "here" / "c")
    command = ("build", parts, tmp_path / "there" / "c", "--cluster", address)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, "2", *map(str, command)],
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "there/c/collection.json").exists()
    assert len(list((tmp_path / "there/c/.build").glob("*.json"))) >= 2  # finished parts
    assert run(*command, "--json").json["rows"] == 90
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")


def with_small_files(do, limit, item, advance=None):
    with small_files(limit):
        return do(item, advance)


def test_a_full_disk_on_nodes_is_reported_and_running_again_goes_on(
    address, tmp_path, run, monkeypatch
):
    pairdex.build(save_parts(tmp_path / "parts", (30, 20, 25)), tmp_path / "c")
    pairdex.export(tmp_path / "c", tmp_path / "here", "parquet")
    command = ("export", tmp_path / "c", tmp_path / "there", "--format", "parquet")
    with monkeypatch.context() as patch:
        patch.setattr(folders, "_write_once", partial(with_small_files, folders._write_once, 5000))
        complaint = run(*command, "--cluster", address).complaint
    assert "File too large" in complaint
    assert "run the same command again" in complaint
    assert not (tmp_path / "there").exists()
    assert run(*command, "--cluster", address, "--json").json["rows"] == 75
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")


def wait_for(path, number):
    """Item 0 waits until a file allows to end, as on a slow node."""
    while number == 0 and not path.exists():
        time.sleep(0.02)
    return number


def test_a_slow_node_holds_up_only_its_own_item(executor, tmp_path):
    order = []
    for place, _ in executor.each(
        partial(wait_for, tmp_path / "go"), list(range(12)), memory_bytes=SMALL
    ):
        order.append(place)
        if len(order) == 11:
            (tmp_path / "go").touch()
    assert order[-1] == 0
    assert sorted(order) == list(range(12))


def test_a_node_without_the_shared_folder_is_named_before_any_work(cluster, address, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    with (
        node_that_does_not_see(shared, cluster),
        pytest.raises(ClusterFailed, match=rf"the node .* does not see {shared} as this process"),
        executor_for(cluster=address, folders=[shared]),
    ):
        pytest.fail("it was not probed")
    assert list(shared.iterdir()) == []
