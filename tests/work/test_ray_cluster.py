"""Work on Ray nodes: the same results and bytes as here, whatever is killed meanwhile."""

import os
import shutil
import signal
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

import pairdex
from conftest import read_tree
from pairdex.demo.pictures import draw_pictures
from pairdex.errors import ClusterFailed, DamagedFile
from pairdex.work import ray_cluster
from pairdex.work.executors import executor_for
from ray_nodes import MEMORY, add_node, kill_node
from sharded import save_parts

SMALL = 50_000_000  # of an item of work


@pytest.fixture(scope="module", autouse=True)
def by_value():
    """Nodes cannot import this module."""
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A collection of three parts."""
    folder = tmp_path_factory.mktemp("built")
    pairdex.build(save_parts(folder / "parts", (30, 20, 25)), folder / "c")
    return folder / "c"


def double(number):
    return 2 * number


def fail_at(wrong, number):
    if number == wrong:
        raise DamagedFile(f"item {number} is damaged")
    return number


def write_process(folder, number):
    """Say which process does this, and wait until a file allows to end."""
    (folder / f"{number}-{os.getpid()}.started").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)
    return number


def started(folder, number):
    """Wait until an item has been started, and return the processes that did so."""
    while not (found := list(folder.glob(f"{number}-*.started"))):
        time.sleep(0.02)
    return [int(path.stem.split("-")[1]) for path in found]


def run_beside(executor, do, items):
    """Run items in a thread; return it and the dictionary that it fills."""
    found = {}

    def run():
        found.update(executor.each(do, items, memory_bytes=SMALL))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def test_every_item_is_done_once_and_comes_with_its_place(executor):
    found = dict(executor.each(double, list(range(30)), memory_bytes=SMALL))
    assert found == {place: 2 * place for place in range(30)}
    assert not executor.is_here


def test_the_first_error_ends_the_work_as_itself(executor):
    with pytest.raises(DamagedFile, match="item 3 is damaged"):
        dict(executor.each(partial(fail_at, 3), list(range(100)), memory_bytes=SMALL))


def test_a_killed_worker_costs_its_item_only(executor, tmp_path):
    thread, found = run_beside(executor, partial(write_process, tmp_path), [0, 1])
    os.kill(started(tmp_path, 0)[0], signal.SIGKILL)
    (tmp_path / "go").touch()
    thread.join(60)
    assert found == {0: 0, 1: 1}


def test_a_killed_node_is_replaced_by_the_others_and_a_new_one_takes_part(
    cluster, executor, tmp_path
):
    doomed = add_node(cluster)
    cluster.wait_for_nodes()
    items = list(range(6))
    thread, found = run_beside(executor, partial(write_process, tmp_path), items)
    for number in range(3):
        started(tmp_path, number)
    kill_node(doomed)
    newcomer = add_node(cluster)
    (tmp_path / "go").touch()
    thread.join(120)
    assert found == dict(enumerate(items))
    cluster.remove_node(newcomer)


def test_memory_that_no_node_has_is_refused_instead_of_waited_for(executor):
    with pytest.raises(
        ClusterFailed, match=f"needs {2 * MEMORY:,} bytes of memory, and the largest"
    ):
        dict(executor.each(double, [1], memory_bytes=2 * MEMORY))


def test_a_folder_that_a_node_does_not_see_is_named_with_the_node(
    executor, cluster, tmp_path, monkeypatch
):
    assert executor
    monkeypatch.setattr(ray_cluster, "_digest", lambda _: "that of another file")  # here, not there
    with (
        pytest.raises(ClusterFailed, match=rf"the node .* does not see {tmp_path} as this process"),
        executor_for(cluster=cluster.address, folders=[tmp_path]),
    ):
        pytest.fail("it was not probed")


def test_a_collection_built_on_nodes_has_the_same_bytes(cluster, tmp_path, tree, run):
    parts = save_parts(tmp_path / "parts", (30, 20, 25))
    pairdex.build(parts, tmp_path / "here" / "c", model="demo")
    made = run(
        "build", parts, tmp_path / "there" / "c", "--model", "demo", "--cluster", cluster.address,
        "--json",
    )  # fmt: skip
    assert made.json["rows"] == 75
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    again = pairdex.build(parts, tmp_path / "there" / "c", model="demo", cluster=cluster.address)
    assert again.added == 0


@pytest.mark.parametrize("name", ["pca8", "hamming"])
def test_a_projection_made_on_nodes_has_the_same_bytes(
    executor, cluster, built, tmp_path, run, name
):
    assert executor
    here, there = (shutil.copytree(built, tmp_path / one) for one in ("a", "b"))
    pairdex.project(here, name, fit_rows=70)
    made = run("project", there, name, "--fit-rows", 70, "--cluster", cluster.address, "--json")
    assert made.json["projected"] == 75
    assert read_tree(there / "projections") == read_tree(here / "projections")
    assert pairdex.project(there, name, cluster=cluster.address).projected == 0


def test_pictures_encoded_on_nodes_become_the_same_parts(executor, cluster, tmp_path, run):
    assert executor
    draw_pictures(tmp_path / "pictures", count=12, seed=3)
    (tmp_path / "pictures/broken.png").write_bytes(b"no picture")
    options = {"model": "demo", "part_rows": 5}
    here = pairdex.encode(tmp_path / "pictures", tmp_path / "here", **options)
    made = run(
        "encode", tmp_path / "pictures", tmp_path / "there", "--model", "demo", "--part-rows", 5,
        "--cluster", cluster.address, "--json",
    ).json  # fmt: skip
    assert (made["rows"], made["failed"], made["parts"]) == (here.rows, 1, here.parts)
    assert made["model_seconds"] > 0
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")
    again = pairdex.encode(
        tmp_path / "pictures", tmp_path / "there", cluster=cluster.address, **options
    )
    assert again.model_seconds == 0


@pytest.mark.parametrize("shards", [False, True])
def test_a_gold_standard_found_on_nodes_has_the_same_answers(
    executor, cluster, built, tmp_path, run, monkeypatch, shards
):
    assert executor
    folder = shutil.copytree(built, tmp_path / "c")
    if shards:
        pairdex.shard(folder, 3, tmp_path / "s")
        folder = tmp_path / "s"
    monkeypatch.setattr("pairdex.reference.gold._QUERY_BLOCK", 7)
    queries = np.random.default_rng(0).standard_normal((20, 64)).astype(np.float32)
    np.save(tmp_path / "q.npy", queries)
    here = pairdex.gold(folder, queries, tmp_path / "here.h5", k=9)
    arguments = (folder, tmp_path / "q.npy", "--out", tmp_path / "there.h5", "-k", 9)
    there = run("gold", *arguments, "--cluster", cluster.address, "--json").json
    assert (there["n"], there["ties"], there["certified"]) == (20, here.ties, True)
    assert there["scanned"] == here.scanned
    assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()


def test_a_damaged_part_is_reported_as_without_a_cluster(cluster, tmp_path, run):
    parts = save_parts(tmp_path / "parts", (30, 20))
    path = parts / "metadata_1.parquet"
    path.write_bytes(path.read_bytes()[:-200] + bytes(200))
    here = run("build", parts, tmp_path / "a").complaint
    there = run("build", parts, tmp_path / "b", "--cluster", cluster.address).complaint
    assert there == here
    assert not (tmp_path / "b").exists()


def test_a_program_that_has_joined_another_cluster_is_told(executor, tmp_path):
    assert executor
    with (
        pytest.raises(ClusterFailed, match=r"has joined the Ray cluster .*, not 127.0.0.1:1"),
        executor_for(cluster="127.0.0.1:1", folders=[tmp_path]),
    ):
        pytest.fail("it used the other one")
