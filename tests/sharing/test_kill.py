"""Pushes and pulls that are killed at any instant: nobody sees half a collection, the next call ends it."""

import os
import signal
import subprocess
import sys

import pytest

import pairdex
from fault_server import Fault
from pairdex.derived.verify import verify
from pairdex.errors import MissingFile
from pairdex.sharing.listing import LISTING
from pairdex.sharing.pull import WORK, pull_files
from pairdex.store.manifest import MANIFEST

from .conftest import serve

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "fcntl.flock")
STEP = 13  # acts between the instants that are tried: all of them would take minutes


def killed_at(instant, folder, work):
    """Work in a forked process that kills itself before its `instant`-th act below a folder."""
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
        work()
    finally:
        os._exit(0)


def test_a_pull_killed_in_the_middle_of_a_file_goes_on_there(published, tmp_path, server, retry):
    url = serve(server, published.folder)
    served = server.files["shared/image/00000.npy"]
    served.faults = [Fault(stall_after=300)]
    child = subprocess.Popen(
        [sys.executable, "-m", "pairdex", "pull", url, str(tmp_path / "copy")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.arrived.wait(30)
    part = tmp_path / "copy" / WORK / "image/00000.npy.part"
    while not (part.exists() and part.stat().st_size == 300):
        assert child.poll() is None
    child.kill()
    child.communicate()
    with pytest.raises(MissingFile, match="is not a collection"):
        pairdex.open(tmp_path / "copy")
    report = pull_files(url, tmp_path / "copy", retry=retry)
    asked = server.asked("shared/image/00000.npy")
    assert asked[-1].get("Range") == "bytes=300-"
    assert report.received < report.bytes
    assert verify(tmp_path / "copy").damaged == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_pull_killed_at_any_instant_is_whole_or_as_before(
    published, tmp_path, make_parts, build, tree
):
    folder = tmp_path / "copy"
    pairdex.pull(published.url, folder)
    build(make_parts(30, 10, 20, 5), published.collection)
    pairdex.remove(published.collection, where="width < 103", reason="takedown 1")
    pairdex.open(published.collection).prepare("image")
    published.push()
    instant, killed, old = 1, True, tree(folder)
    while killed:
        killed = killed_at(instant, folder, lambda: pairdex.pull(published.url, folder))
        with pairdex.open(folder, use_codes=False) as opened:
            assert len(opened) in (51, 52, 60, 65 - 12), instant
            assert opened.nearest(opened.vectors("image")[5], 1).distances[0] < 1e-3
        pairdex.pull(published.url, folder)
        assert verify(folder).damaged == []
        assert len(pairdex.open(folder)) == 65 - 12
        assert not (folder / WORK).exists()
        instant += STEP
        _restore(folder, old)
    assert instant > 3 * STEP


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_push_killed_at_any_instant_is_ended_by_the_next(collection, tmp_path, tree):
    instant, killed = 1, True
    while killed:
        folder = tmp_path / f"shared{instant}"
        url = f"file://{folder}"
        killed = killed_at(instant, folder, lambda url=url: pairdex.push(collection, url))
        assert not killed or not (folder / LISTING).exists() or whole(folder, tmp_path / "seen")
        report = pairdex.push(collection, url)
        assert report.sent <= report.files
        pairdex.pull(url, tmp_path / f"copy{instant}")
        assert tree(tmp_path / f"copy{instant}") == tree(collection)
        instant += STEP
    assert instant > 3 * STEP


def whole(folder, copy):
    pairdex.pull(f"file://{folder}", copy)
    return verify(copy).damaged == []


def test_a_push_goes_on_behind_the_objects_that_were_sent(collection, tmp_path):
    pairdex.push(collection, f"file://{tmp_path}/shared")
    (tmp_path / "shared" / LISTING).unlink()
    (tmp_path / "shared" / "image/00001.npy").write_bytes(b"half")
    assert pairdex.push(collection, f"file://{tmp_path}/shared").sent == 1
    assert (tmp_path / "shared" / MANIFEST).exists()


def _restore(folder, content):
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.relative_to(folder).as_posix() not in content:
            path.rmdir() if path.is_dir() else path.unlink()
    for name, data in content.items():
        if data is not None:
            (folder / name).write_bytes(data)
