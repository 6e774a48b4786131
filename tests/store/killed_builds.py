"""Run by test_kill.py: kill builds at chosen instants, and record what a reader sees then.

If the source is a collection, another is derived from it. Every build runs in a forked process, so the
package is imported only once. Prints one JSON array.
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from pairdex.curate.derive import derive_collection
from pairdex.errors import MissingFile
from pairdex.store.build import BuildOptions, build_collection
from pairdex.store.manifest import MANIFEST, Origin
from pairdex.store.plan import Selection
from pairdex.store.store import Store

EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "fcntl.flock"}
PR_SET_CHILD_SUBREAPER = 36


def build(source, collection, workers=1):
    if (source / MANIFEST).exists():
        store = Store(source)
        origin = Origin("source", store.manifest.checksum, {"every": 3})
        keep = np.arange(store.rows) % 3 == 0
        derive_collection(store, collection, keep, origin=origin, workers=workers)
        return
    build_collection(
        source, collection, selection=Selection(), options=BuildOptions(workers=workers)
    )


def in_a_child(work):
    """Start `work` in a forked process, which exits with status 0 if `work` returns."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except Exception:  # noqa: BLE001 - the child has no other way to report it
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(child):
    """Wait for a child and all its descendants; return the exit status of the child."""
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ChildProcessError):
        while True:  # we adopt the processes of a killed child; they must end by themselves
            os.wait()
    return os.waitstatus_to_exitcode(status)


def watch(collection, at):
    """Call `at(n)` before the n-th operation of this process on the collection's files."""
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event in EVENTS and (event == "fcntl.flock" or str(collection) in str(arguments[0])):
            seen += 1
            at(seen)

    sys.addaudithook(hook)
    return lambda: seen


def seen_by_a_reader(collection):
    try:
        return Store(collection).rows
    except MissingFile:
        return None


def count_events(source, collection):
    """Build without a kill; return the number of operations on files."""
    read, write = os.pipe()

    def work():
        events = watch(collection, lambda _: None)
        build(source, collection)
        os.write(write, str(events()).encode())

    assert ended(in_a_child(work)) == 0
    return int(os.read(read, 100))


def kill_at_every_event(source, targets, first):
    """For each n, kill a build before its n-th event, read the collection, and build again."""

    def prepared(name):
        collection = targets / name / "c"
        if first is not None:
            shutil.copytree(first, collection)
        return collection

    views = []
    for event in range(1, count_events(source, prepared("undisturbed")) + 1):
        collection = prepared(f"killed-{event}")

        def work(collection=collection, event=event):
            watch(collection, lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == event else 0)
            build(source, collection)

        status = ended(in_a_child(work))
        views.append((status, seen_by_a_reader(collection)))
        assert ended(in_a_child(lambda: build(source, collection))) == 0  # noqa: B023 - called here
    return views


def kill_at_random(source, targets, rounds, kills, workers):
    """For each round, kill builds of one collection one after another, then let one finish."""
    clock = random.Random(1)
    started = time.monotonic()
    undisturbed = targets / "undisturbed" / "c"
    assert ended(in_a_child(lambda: build(source, undisturbed, workers))) == 0
    seconds = time.monotonic() - started
    views = []
    for number in range(rounds):
        collection = targets / f"killed-{number}" / "c"
        for _ in range(kills):
            child = in_a_child(lambda: build(source, collection, workers))  # noqa: B023
            time.sleep(clock.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
            views.append((ended(child), seen_by_a_reader(collection)))
        assert ended(in_a_child(lambda: build(source, collection, workers))) == 0  # noqa: B023
    return views


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("targets", type=Path)
    parser.add_argument("--first", type=Path)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if given.rounds is None:
        views = kill_at_every_event(given.source, given.targets, given.first)
    else:
        views = kill_at_random(
            given.source, given.targets, given.rounds, given.kills, given.workers
        )
    sys.stdout.write(json.dumps(views) + "\n")


if __name__ == "__main__":
    main()
