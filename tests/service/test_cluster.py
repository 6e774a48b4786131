"""A service whose vectors are on Ray nodes: the answers of a service without, whatever is killed."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.errors import ClusterFailed, InvalidArgument
from pairdex.service.app import make_app
from pairdex.service.cluster import ClusterOptions, ControlWatch, spread
from pairdex.service.server import serve
from ray_nodes import MEMORY, ray_nodes
from served import is_ready, sample, wait_until
from sharded import ROWS, WORDS, make_twins, save_parts

HOME = "http://localhost"


@pytest.fixture(scope="module")
def cluster():
    with ray_nodes(1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A collection, and shards of which the last has an index."""
    twins = make_twins(tmp_path_factory.mktemp("twins"), shards=2)
    for folder in (twins.whole, twins.shards):
        pairdex.remove(folder, ids=[4, 66, 150], reason="takedown")
    pairdex.index(twins.shards / "shards/00001")
    return twins


@contextmanager
def running(cluster, *folders, replicas):
    """Yield the client, the app and the actors of a service on a cluster."""
    opened = [pairdex.open(folder) for folder in folders]
    with spread(opened, ClusterOptions(cluster.address, replicas)) as (collections, _):
        app = make_app(collections)
        app.state.reloader._poll_seconds = 0.05
        with TestClient(app, base_url=HOME) as client:
            wait_until(lambda: app.state.reloader.is_warm)
            actors = collections[0].finder.searcher._actors
            shards = actors._shards.values()
            del collections
            wait_until(lambda: all(one.held for shard in shards for one in shard.replicas))
            yield client, app, actors


@pytest.fixture(scope="module")
def here(twins):
    app = make_app(twins.shards)
    with TestClient(app, base_url=HOME) as client:
        wait_until(lambda: app.state.reloader.is_warm)
        yield client


@pytest.fixture(scope="module")
def service(cluster, twins):
    with running(cluster, twins.shards, replicas=2) as found:
        yield found


def answer_of(client, request, route="search"):
    answer = client.post(f"/api/{route}", json=request)
    found = answer.json()
    found.pop("seconds", None)
    found.get("error", {}).pop("request_id", None)
    return answer.status_code, found


def random_request(rng):
    """A search by anything, with any options."""
    asked = rng.choice(
        [
            {"text": " ".join(rng.sample(WORDS, 2))},
            {"like": rng.choice([3, 66, 70, 199])},
            {"vector": np.random.default_rng(rng.randrange(99)).standard_normal(64).tolist()},
            {"terms": [{"text": "a red dog"}, {"like": 7, "weight": -0.5}]},
            {"like": 5, "keywords": rng.choice(["dog cat", '"red dog"', "hill -boat"])},
        ]
    )
    options = {
        "on": rng.choice(["image", "text"]),
        "k": rng.choice([1, 7, 100]),
        "offset": rng.choice([0, 0, 5]),
        "where": rng.choice(
            [None, "id > 60", "width < 103", "caption LIKE '%dog%'", "nsfw = 'NSFW' AND id % 3 = 1"]
        ),
        "safe": rng.choice([True, False]),
        "exact": rng.choice([True, False]),
        "hybrid": "keywords" in asked or rng.choice([True, False]),
        "fold": rng.choice([None, None, 0.1]),
    }
    return asked | options


@pytest.mark.parametrize("seed", range(40))
def test_random_searches_have_the_same_answers(service, here, seed):
    request = random_request(random.Random(seed))
    assert answer_of(service[0], request) == answer_of(here, request)


@pytest.mark.parametrize(
    ("route", "request_"),
    [
        ("search", {"sort": "width", "descending": True, "where": "nsfw = 'NSFW'", "k": 5}),
        ("search", {"like": 3, "where": "no_such_column = 1"}),
        ("search", {"like": 3, "on": "pca96"}),
        ("facets", {"where": "width < 104", "keywords": "hill"}),
        ("items", {"ids": [199, 3, 70]}),
        ("contains", {"urls": ["https://example.org/3/4.jpg"]}),
    ],
)
def test_other_requests_have_the_same_answers(service, here, route, request_):
    assert answer_of(service[0], request_, route) == answer_of(here, request_, route)


def test_a_service_on_a_cluster_describes_itself_alike(service, here):
    assert service[0].get("/api/collections").json() == here.get("/api/collections").json()


def test_an_unbroken_answer_says_that_no_shard_is_missing(service):
    status, found = answer_of(service[0], {"like": 1, "partial": True})
    assert (status, found["missing_shards"]) == (200, [])


def test_a_partial_file_is_refused(service):
    status, found = answer_of(service[0], {"like": 1, "partial": True, "format": "csv"}, "download")
    assert (status, found["error"]["field"]) == (422, "partial")


def process_of(replica):
    """Return the process of an actor; None while Ray starts another."""
    import ray

    try:
        return ray.get(replica._ping.remote(), timeout=20)
    except ray.exceptions.RayError:
        return None


def kill(replica):
    """Kill an actor's process, and return its number."""
    process = process_of(replica)
    os.kill(process, signal.SIGKILL)
    return process


def is_another(replica, process, answers, asked):
    """Whether another process holds the shard, and enough requests were answered meanwhile."""
    return len(answers) > asked + 20 and replica.held and process_of(replica) != process


@contextmanager
def asking(client, request):
    """Ask in two threads while the block runs; yield the list of answers, which grows."""
    answers, done = [], threading.Event()

    def ask():
        while not done.is_set():
            answers.append(answer_of(client, request))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_no_request_is_lost_while_actors_are_killed_that_have_replicas(service, here):
    client, _, actors = service
    request = {"vector": [1.0] * 64, "k": 20, "exact": True}
    expected = answer_of(here, request)
    with asking(client, request) as answers:
        for place, shard in enumerate(actors._shards.values()):
            replica = shard.replicas[place]
            changed = partial(is_another, replica, kill(replica), answers, len(answers))
            wait_until(changed)
    assert all(one == expected for one in answers)


def test_without_replicas_a_lost_shard_is_missing_until_its_actor_is_back(cluster, twins):
    with running(cluster, twins.shards, replicas=1) as (client, _, actors):
        request = {"vector": [1.0] * 64, "k": 150, "exact": True, "safe": False}
        status, whole = answer_of(client, request)
        assert status == 200
        lost = list(actors._shards.values())[1].replicas[0]
        kill(lost)
        status, refused = answer_of(client, request)
        assert (status, refused["error"]["code"]) == (503, "cluster_failed")
        assert "1 of 2 shards of shards do not answer now: shards/00001" in str(refused)
        status, rest = answer_of(client, request | {"partial": True})
        assert (status, rest["missing_shards"], rest["exact"]) == (200, ["shards/00001"], False)
        inside = range(pairdex.open(twins.shards).finder.store.shards[0].rows, sum(ROWS))
        there = [hit["id"] for hit in rest["hits"]]
        assert not {*there} & {*inside}
        others = [hit["id"] for hit in whole["hits"] if hit["id"] not in inside]
        assert there[: len(others)] == others
        for hybrid in ({"text": "a red dog"}, {"text": "a red dog", "fold": 0.1}):
            status, rest = answer_of(client, hybrid | {"partial": True, "k": 150})
            assert (status, rest["method"]) == (200, "hybrid")
            assert (rest["missing_shards"], rest["exact"]) == (["shards/00001"], False)
            assert not {hit["id"] for hit in rest["hits"]} & {*inside}
        wait_until(lambda: answer_of(client, request) == (200, whole))


def test_changes_are_switched_to_without_a_failed_request(cluster, tmp_path):
    parts = save_parts(tmp_path / "parts", (30, 20))
    pairdex.build(parts, tmp_path / "c", parts="0")
    with running(cluster, tmp_path / "c", replicas=2) as (client, app, actors):
        request = {"like": 3, "k": 100, "safe": False}
        with asking(client, request) as answers:
            pairdex.remove(tmp_path / "c", ids=[7], reason="takedown")
            assert len(answer_of(client, request)[1]["hits"]) == 28
            pairdex.build(parts, tmp_path / "c")
            wait_until(lambda: len(answer_of(client, request)[1]["hits"]) == 48)
        assert {status for status, _ in answers} == {200}
        assert sample(app.state.metrics.text(), "pairdex_reopened_total") > 0
        (shard,) = actors._shards.values()
        wait_until(lambda: all(len(one.held) == 1 for one in shard.replicas))  # the newest


def test_what_the_cluster_cannot_hold_is_refused(cluster, twins, monkeypatch):
    opened = [pairdex.open(twins.shards)]
    with (
        pytest.raises(ClusterFailed, match="3 replicas of a shard need as many nodes"),
        spread(opened, ClusterOptions(cluster.address, 3)),
    ):
        pytest.fail("it has only two nodes")
    monkeypatch.setattr("pairdex.cluster.actors.memory_of", lambda _: MEMORY // 2 + 1)
    with (
        pytest.raises(ClusterFailed, match=f"declare {2 * MEMORY:,}, the largest {MEMORY:,}"),
        spread(opened, ClusterOptions(cluster.address, 2)),
    ):
        pytest.fail("they have too little memory")


@pytest.mark.parametrize(
    ("options", "field", "complaint"),
    [
        ({"replicas": 2}, "replicas", "replicas are for a cluster"),
        ({"cluster": "auto", "workers": 2}, "workers", "with a cluster, one process answers"),
        (
            {"cluster": "auto", "replicas": 0},
            "replicas",
            "number of replicas is 0, expected 1 to 16",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(twins, options, field, complaint):
    with pytest.raises(InvalidArgument, match=complaint) as caught:
        serve(twins.whole, **options)
    assert caught.value.field == field


def test_a_service_ends_when_the_control_process_is_lost():
    with socket.create_server(("127.0.0.1", 0)) as control:
        watch = ControlWatch(f"127.0.0.1:{control.getsockname()[1]}", seconds=0)
        ended = threading.Event()
        watch.check()
        watch.start(ended.set)
        assert not ended.wait(1.2)
    assert ended.wait(20)
    with pytest.raises(ClusterFailed, match=r"control process at 127.0.0.1:\d+ has not answered"):
        watch.check()


PROGRAM = """
import sys
import pairdex.service.cluster as cluster
from pairdex.cli import main
cluster.ControlWatch.__init__.__kwdefaults__["seconds"] = 2.0
sys.argv[1:] = ["serve", sys.argv[1], "--port", "0", "--cluster", sys.argv[2]]
main()
"""


def test_requests_are_answered_without_the_control_process_until_the_service_ends(twins, tmp_path):
    log = tmp_path / "log"
    with ray_nodes(0) as cluster, log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(twins.shards), cluster.address], stderr=errors
        )
        try:
            wait_until(lambda: "serving http" in log.read_text() or process.poll() is not None)
            url = log.read_text().split("serving ")[1].split()[0]
            request = urllib.request.Request(
                f"{url}/api/search",
                b'{"like": 1, "exact": true}',
                {"Content-Type": "application/json"},
            )
            wait_until(lambda: is_ready(url))
            cluster.head_node.kill_gcs_server()
            asked = 0
            while "does not answer: lost actors stay lost" not in log.read_text() or asked < 20:
                with urllib.request.urlopen(request) as answer:
                    assert answer.status == 200
                asked += 1
            assert process.wait(30) == 1
        finally:
            process.kill()
            process.wait()
    assert "has not answered for 2 s, so the service ends; start the cluster" in log.read_text()
