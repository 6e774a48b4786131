"""Several processes behind one socket: they answer alike, are replaced when they die, and end together."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import pairdex
from pairdex.errors import InvalidArgument, PairdexError
from pairdex.service.policy import Policy
from pairdex.service.server import serve
from served import sample, serving_process, wait_until

TWO = ("--workers", "2")


def asked(url, path="/health", body=None):
    """Return the status and the body of a request on a connection of its own."""
    parts = urlsplit(url)
    asking = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        asking.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        response = asking.getresponse()
        return response.status, response.read()
    finally:
        asking.close()


def metrics(url):
    return asked(url, "/metrics")[1].decode()


def children(process):
    """The process ids of a service's workers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
                if (
                    int(parent) == process.pid
                    and b"spawn_main" in (folder / "cmdline").read_bytes()
                ):
                    found.append(int(folder.name))
    return sorted(found)


def is_running(process_id):
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def pair(scenes, tmp_path_factory):
    """The URL and the process of a service with two workers."""
    log = tmp_path_factory.mktemp("pair") / "log"
    with serving_process(log, scenes, options=TWO) as (url, process):
        wait_until(lambda: sample(metrics(url), "pairdex_workers") == 2)
        yield url, process


def test_both_answer_the_same_and_their_counts_add_up(pair):
    url, process = pair
    assert len(children(process)) == 2
    name = "pairdex_requests_total"
    labels = {"method": "POST", "route": "/api/search", "status": "200"}
    hits = [
        json.loads(asked(url, "/api/search", {"like": 3, "k": 5})[1])["hits"] for _ in range(20)
    ]
    assert all(one == hits[0] for one in hits)
    counts = {sample(metrics(url), name, **labels) for _ in range(6)}
    assert counts == {20}  # whichever worker is asked
    assert sample(metrics(url), "pairdex_request_seconds_count", route="/api/search") == 20


def test_memory_and_time_are_shown_of_each(pair):
    url, _ = pair
    text = metrics(url)
    for worker in ("0", "1"):
        assert sample(text, "process_resident_memory_bytes", worker=worker) > 2**20
    assert "# HELP pairdex_requests_total Answered requests." in text


def test_a_worker_that_is_killed_is_replaced_and_no_new_request_is_refused(pair):
    url, process = pair
    before = children(process)
    restarts = sample(metrics(url), "pairdex_worker_restarts_total")
    os.kill(before[0], signal.SIGKILL)
    ended = time.monotonic() + 30
    while len(set(children(process)) - set(before)) < 1:
        assert asked(url)[0] in (200, 503)  # 503: it warms
        assert time.monotonic() < ended
    wait_until(lambda: sample(metrics(url), "pairdex_workers") == 2)
    assert sample(metrics(url), "pairdex_worker_restarts_total") == restarts + 1
    assert sample(metrics(url), "pairdex_requests_in_progress") == 1  # the scrape itself


def test_a_changed_collection_is_switched_in_all(make_parts, tmp_path):
    pairdex.build(make_parts(30), tmp_path / "c")
    more = make_parts(30, 10)
    with serving_process(tmp_path / "log", tmp_path / "c", options=TWO) as (url, _):
        pairdex.build(more, tmp_path / "c")
        wait_until(lambda: sample(metrics(url), "pairdex_reopened_total") >= 2)
        for _ in range(30):
            answer = json.loads(asked(url, "/api/collections")[1])
            assert answer["collections"][0]["rows"] == 40
        pairdex.remove(tmp_path / "c", ids=[7], reason="takedown")
        assert {asked(url, "/api/items/7")[0] for _ in range(30)} == {404}


def test_one_worker_indexes_the_captions_and_the_others_wait_for_it(make_parts, tmp_path):
    pairdex.build(make_parts(30), tmp_path / "c")
    with serving_process(tmp_path / "log", tmp_path / "c", options=TWO) as (url, _):
        wait_until(lambda: sample(metrics(url), "pairdex_workers") == 2)
        body = {"keywords": "caption", "k": 1}
        wait_until(lambda: {asked(url, "/api/search", body)[0] for _ in range(10)} == {200})
    assert "built in memory" not in (tmp_path / "log").read_text()


SLOW = """
import os, sys, time, pairdex
from pairdex.service.server import serve

def configure():
    nearest = pairdex.Collection.nearest

    def slowly(*arguments, **options):
        os.write(1, b"searching\\n")
        time.sleep(1)
        return nearest(*arguments, **options)

    pairdex.Collection.nearest = slowly

if __name__ == "__main__":
    serve(sys.argv[1], port=0, workers=2, configure=configure, ready=lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_has_begun_is_answered_before_all_end(web, tmp_path, number):
    (tmp_path / "slow.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "slow.py", str(web)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = iter(process.stdout.readline, "")
    url = next(line.strip() for line in lines if line.startswith("http"))
    workers, statuses = children(process), []
    asking = threading.Thread(
        target=lambda: statuses.append(asked(url, "/api/search", {"vector": [1] * 8})[0])
    )
    wait_until(lambda: asked(url)[0] == 200)
    asking.start()
    assert "searching\n" in lines
    process.send_signal(number)
    asking.join(20)
    process.communicate(timeout=30)
    assert statuses == [200]
    assert len(workers) == 2
    assert not any(map(is_running, workers))


def test_workers_end_when_the_process_that_started_them_is_killed(web, tmp_path):
    with serving_process(tmp_path / "log", web, options=TWO) as (_, process):
        workers = children(process)
        assert len(workers) == 2
        process.kill()
        wait_until(lambda: not any(map(is_running, workers)), 30)


def test_a_token_and_a_prefix_hold_in_each_worker(web, tmp_path):
    (tmp_path / "token").write_text("SECRET\n")
    options = (*TWO, "--token-file", str(tmp_path / "token"), "--root-path", "/p")
    with serving_process(tmp_path / "log", web, options=options) as (url, process):
        assert {asked(url, "/p/api/collections")[0] for _ in range(20)} == {401}
        assert "SECRET" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        known = urllib.request.Request(
            f"{url}/p/api/collections", headers={"Authorization": "Bearer SECRET"}
        )
        with urllib.request.urlopen(known) as response:
            assert response.status == 200


FAILING = """
import sys
from pairdex.service.server import serve

def configure():
    import multiprocessing
    if multiprocessing.parent_process() is not None:
        sys.exit(3)

if __name__ == "__main__":
    serve(sys.argv[1], port=0, workers=2, configure=configure)
"""


def test_workers_that_cannot_start_end_the_service_with_one_reason(web, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    ended = subprocess.run(
        [sys.executable, tmp_path / "failing.py", str(web)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "of 2 ended (exit status 3) before it answered" in ended.stderr


@pytest.mark.parametrize("workers", [0, -1, 65])
def test_a_number_of_workers_that_is_none_is_refused(web, workers):
    with pytest.raises(InvalidArgument, match="expected 1 to 64"):
        serve(web, port=0, workers=workers)


def test_errors_are_found_before_a_worker_starts(web, tmp_path):
    with pytest.raises(PairdexError, match="nothing to serve"):
        serve([], port=0, workers=2)
    with pytest.raises(PairdexError):
        serve(tmp_path / "none", port=0, workers=2, policy=Policy(rate=5))
