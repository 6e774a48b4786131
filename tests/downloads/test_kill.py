"""Fetches killed at any instant: the same command afterwards gives the right file."""

import os
import signal
import subprocess
import sys
from random import Random

import pytest

from pairdex.downloads.fetch import fetch_files as fetch
from pairdex.downloads.record import RECORD

from .conftest import Fault

SIZE = 400_000


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "pairdex", "fetch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def content_of(folder):
    names = [path.name for path in folder.iterdir()]
    assert sorted(names) == sorted({RECORD, "a.bin"}), names
    return (folder / "a.bin").read_bytes()


@pytest.mark.parametrize("sent", [0, 70_000, 399_999])
def test_a_fetch_killed_in_the_middle_goes_on(server, data, tmp_path, retry, sent):
    url = server.put("a.bin", data(SIZE), Fault(stall_after=sent))
    child = start(url, tmp_path)
    assert server.arrived.wait(30)
    child.kill()
    child.communicate()
    assert not (tmp_path / "a.bin").exists()
    report = fetch(url, tmp_path, retry=retry())
    assert content_of(tmp_path) == data(SIZE)
    assert report.received <= SIZE
    assert server.asked("a.bin")[0].get("Range") is None


def test_an_interrupted_fetch_ends_with_130_and_leaves_what_it_has(server, data, tmp_path, retry):
    url = server.put("a.bin", data(SIZE), Fault(stall_after=300_000))
    child = start(url, tmp_path)
    assert server.arrived.wait(30)
    part = tmp_path / "a.bin.part"
    while not (part.exists() and part.stat().st_size == 300_000):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, b"")
    assert err == b"pairdex: interrupted; the same command goes on where it stopped\n"
    report = fetch(url, tmp_path, retry=retry())
    assert report.received == SIZE - 300_000
    assert content_of(tmp_path) == data(SIZE)


EVENTS = ("open", "os.rename", "os.remove", "fcntl.flock", "os.truncate")


def killed_at(instant, url, folder, retry):
    """Fetch in a forked process that kills itself before its `instant`-th act on a file."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    acts = 0

    def count(event, arguments):
        nonlocal acts
        if event in EVENTS and str(folder) in str(arguments[0]):
            acts += 1
            if acts == instant:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        fetch(url, folder, files=["a.bin"], retry=retry)
    finally:
        os._exit(0)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside the server
@pytest.mark.parametrize("sums", [True, False])
def test_a_fetch_killed_before_any_act_on_its_files_gives_the_right_file_later(
    server, data, tmp_path, retry, sums
):
    content, rng = data(SIZE), Random(5)
    server.put("a.bin", content)
    if sums:
        server.put_sums()
    instant, killed = 0, True
    while killed:
        instant += 1
        folder = tmp_path / str(instant)
        folder.mkdir()
        server.files["a.bin"].faults = [Fault(break_after=rng.randrange(SIZE))]
        killed = killed_at(instant, server.url, folder, retry())
        got = folder / "a.bin"
        assert not got.exists() or got.read_bytes() == content
        server.files["a.bin"].faults = []
        fetch(server.url, folder, files=["a.bin"], retry=retry())
        assert content_of(folder) == content
    assert instant > 8
