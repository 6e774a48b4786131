"""Running the service: its address, its end."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from pairdex.errors import InvalidArgument
from pairdex.service.server import serve
from served import is_ready, serving, serving_process, wait_until

PROGRAM = """
import signal, sys, pairdex
from pairdex.service.server import serve
signal.signal(signal.SIGINT, signal.default_int_handler)  # where ./check is a shell's background job, it is ignored
def ready(url):
    print(url, flush=True)
serve([pairdex.open(sys.argv[1])], host=sys.argv[2], port=0, ready=ready)
"""


def start(folder, host):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), host],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_free_port_is_taken_and_told_once_it_answers(web, host):
    process = start(web, host)
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:" if host != "localhost" else "http://localhost:")
        with urllib.request.urlopen(f"{url}/docs") as response:
            assert response.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_ctrl_c_ends_it_as_a_keyboard_interrupt(web):
    process = start(web, "127.0.0.1")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode in (-signal.SIGINT, 130)
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_a_port_in_use_is_said_in_one_line(collections):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidArgument, match=rf"^port {port} of 127.0.0.1 is in use; choose"):
            serve(collections, port=port)


def test_a_port_that_is_none_is_refused(collections):
    for port in (-1, 65_536):
        with pytest.raises(InvalidArgument, match="expected 0 to 65535"):
            serve(collections, port=port)


@pytest.mark.parametrize("host", ["not a host", "x" * 300, "203.0.113.1"])
def test_a_host_that_is_not_here_is_refused(collections, host):
    with pytest.raises(InvalidArgument, match=r"cannot be found|cannot listen"):
        serve(collections, host=host, port=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_port_without_permission_is_said_in_one_line(collections):
    with pytest.raises(InvalidArgument, match="permission denied"):
        serve(collections, port=1)


SLOW = """
import sys, time, pairdex
from pairdex.service.server import serve
collection = pairdex.open(sys.argv[1])
neighbours = pairdex.Collection.nearest
def slowly(*arguments, **options):
    print("searching", flush=True)
    time.sleep(1)
    return neighbours(*arguments, **options)
pairdex.Collection.nearest = slowly
serve([collection], port=0, ready=lambda url: print(url, flush=True))
"""


def test_what_has_begun_is_answered_before_it_ends(web):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(web)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().strip()
    answers = []

    def ask():
        request = urllib.request.Request(
            f"{url}/api/search", b'{"like": 1}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            answers.append(response.status)

    asking = threading.Thread(target=ask)
    asking.start()
    assert process.stdout.readline() == "searching\n"
    process.terminate()
    asking.join(20)
    process.communicate(timeout=20)
    assert answers == [200]


def test_killed_under_load_it_answers_the_same_when_started_again(scenes, tmp_path):
    stopped, answered = threading.Event(), []

    def ask(url):
        request = urllib.request.Request(
            f"{url}/api/search", b'{"like": 3, "k": 5}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return [hit["id"] for hit in json.load(response)["hits"]]

    def keep_asking(url):
        with contextlib.suppress(OSError, http.client.HTTPException):  # it is killed
            while not stopped.is_set():
                answered.append(ask(url))

    with serving_process(tmp_path / "first", scenes) as (url, process):
        threads = [threading.Thread(target=keep_asking, args=[url]) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answered) > 20)
        process.kill()
        for thread in threads:
            thread.join(30)
    stopped.set()
    with serving(tmp_path / "second", scenes) as url:
        assert ask(url) == answered[0]
    assert all(answer == answered[0] for answer in answered)


SPARED = """
import gc, sys, pairdex
from pairdex.service.server import serve
neighbours = pairdex.Collection.nearest
def told(*arguments, **options):
    print(gc.get_freeze_count(), flush=True)
    return neighbours(*arguments, **options)
pairdex.Collection.nearest = told
serve([pairdex.open(sys.argv[1])], port=0, ready=lambda url: print(url, flush=True))
"""


def test_what_stays_is_spared_the_garbage_collectors_rounds(web):
    process = subprocess.Popen(
        [sys.executable, "-c", SPARED, str(web)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().strip()
    wait_until(lambda: is_ready(url))
    request = urllib.request.Request(
        f"{url}/api/search", b'{"like": 1}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        assert response.status == 200
    assert int(process.stdout.readline()) > 50_000
    process.terminate()
    process.communicate(timeout=20)
