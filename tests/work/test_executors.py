"""Where work runs is a choice of options; without a cluster it runs on this machine."""

import sys
from importlib.util import find_spec

import pytest

import pairdex
from pairdex.errors import ClusterFailed, InvalidArgument, MissingExtra
from pairdex.work.executors import LocalExecutor, executor_for
from sharded import save_parts


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_done_once_and_comes_with_its_place(workers):
    with executor_for(workers=workers) as executor:
        assert executor.is_here == (workers == 1)
        found = dict(executor.each(abs, [-1, 2, -3, -4], memory_bytes=1))
    assert found == {0: 1, 1: 2, 2: 3, 3: 4}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_an_item_is_raised(workers):
    with pytest.raises(ValueError, match="invalid literal"):
        dict(LocalExecutor(workers).each(int, ["1", "x", "3"], memory_bytes=1))


@pytest.mark.parametrize("address", ["nosuch", "", "10.0.0.1", "ray://x:1/", "host:port"])
def test_a_wrong_address_is_refused_at_once(tmp_path, address):
    with pytest.raises(InvalidArgument, match="expected auto or the address") as caught:
        pairdex.build(save_parts(tmp_path / "p", (3,)), tmp_path / "c", cluster=address)
    assert caught.value.field == "cluster"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:99999", "[::1]:1"])
def test_an_address_where_nothing_answers_is_reported_at_once(tmp_path, address):
    if find_spec("ray") is None:
        pytest.skip("Ray is absent: pip install 'pairdex[cluster]'")
    with pytest.raises(ClusterFailed, match="cannot join the Ray cluster"):
        pairdex.build(save_parts(tmp_path / "p", (3,)), tmp_path / "c", cluster=address)


def test_workers_and_a_cluster_exclude_each_other(tmp_path):
    parts = save_parts(tmp_path / "p", (3,))
    with pytest.raises(InvalidArgument, match="leave out one"):
        pairdex.build(parts, tmp_path / "c", cluster="auto", workers=2)


def test_without_ray_the_error_says_how_to_install_it(tmp_path, monkeypatch, run):
    monkeypatch.setitem(sys.modules, "ray", None)
    complaint = run(
        "build", save_parts(tmp_path / "p", (3,)), tmp_path / "c", "--cluster", "10.0.0.1:6379"
    ).complaint
    assert complaint == (
        "work on a cluster needs Ray, on every node: pip install 'pairdex[cluster]'"
    )
    assert issubclass(MissingExtra, ImportError)
