"""Builds killed at any instant: readers never see half of one, and the same call gives the same bytes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pairdex.errors import MissingFile
from pairdex.store.store import Store

DRIVER = Path(__file__).with_name("killed_builds.py")
KILLED, DONE = -signal.SIGKILL, 0

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the driver adopts orphans by prctl"
)


def drive(source, targets, **options):
    """Run the driver; return (exit status of the build, rows that a reader then saw) for each kill."""
    given = [f"--{name}={value}" for name, value in options.items()]
    ran = subprocess.run(
        [sys.executable, str(DRIVER), str(source), str(targets), *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [tuple(view) for view in json.loads(ran.stdout)]


def assert_all_equal(targets, tree):
    undisturbed = tree(targets / "undisturbed")
    assert "c/collection.json" in undisturbed
    assert not any("partial" in name or ".build" in name for name in undisturbed)
    for target in targets.iterdir():
        assert tree(target) == undisturbed, target.name


def test_a_new_collection_survives_a_kill_before_each_of_its_events(make_parts, tmp_path, tree):
    source = make_parts(7, 5)
    views = drive(source, tmp_path / "targets")
    assert len(views) > 30
    assert set(views) == {(KILLED, None), (KILLED, 12)}
    assert_all_equal(tmp_path / "targets", tree)


def test_adding_parts_survives_a_kill_before_each_of_its_events(make_parts, build, tmp_path, tree):
    build(make_parts(4, folder="first", text=False), tmp_path / "c")
    source = make_parts(7, numbers=[1], text=False)
    views = drive(source, tmp_path / "targets", first=tmp_path / "c")
    assert len(views) > 20
    assert set(views) == {(KILLED, 4), (KILLED, 11)}
    assert_all_equal(tmp_path / "targets", tree)


def test_a_derived_collection_survives_a_kill_before_each_of_its_events(
    make_parts, build, tmp_path, tree
):
    build(make_parts(7, 5, text=False), tmp_path / "c")
    views = drive(tmp_path / "c", tmp_path / "targets")
    assert len(views) > 25
    assert set(views) == {(KILLED, None), (KILLED, 4)}
    assert_all_equal(tmp_path / "targets", tree)


def test_a_build_survives_kills_at_random_instants(make_parts, tmp_path, tree):
    source = make_parts(20_000, 5_000, 10_000, dim=32)
    views = drive(source, tmp_path / "targets", rounds=8, kills=3)
    assert len(views) == 24
    assert set(views) <= {(KILLED, None), (KILLED, 35_000), (DONE, 35_000)}
    assert (KILLED, None) in views
    assert_all_equal(tmp_path / "targets", tree)


def test_a_build_with_workers_survives_kills_and_leaves_no_worker_running(
    make_parts, tmp_path, tree
):
    source = make_parts(20_000, 5_000, 10_000, dim=32)
    views = drive(source, tmp_path / "targets", rounds=1, kills=3, workers=2)
    assert set(views) <= {(KILLED, None), (KILLED, 35_000), (DONE, 35_000)}
    assert_all_equal(tmp_path / "targets", tree)


def test_a_reader_sees_one_version_or_the_next_while_parts_are_added(make_parts, build, tmp_path):
    build(make_parts(3_000, folder="first"), tmp_path / "c")
    source = make_parts(20_000, 5_000, numbers=[1, 2])
    program = (
        "import sys, pathlib; from pairdex.store.build import build_collection;"
        "from pairdex.store.plan import Selection;"
        "build_collection(*map(pathlib.Path, sys.argv[1:]), selection=Selection())"
    )
    command = [sys.executable, "-c", program, str(source), str(tmp_path / "c")]
    with subprocess.Popen(command) as builder:
        seen = []
        while builder.poll() is None:
            seen.append(consistent_rows(tmp_path / "c"))
    assert builder.returncode == 0
    assert [*sorted(seen), 28_000] == [*seen, consistent_rows(tmp_path / "c")]
    assert set(seen) <= {3_000, 28_000}
    assert seen[0] == 3_000


def consistent_rows(collection):
    store = Store(collection)
    last = store.take(np.array([store.rows - 1]))
    assert last["row"].to_pylist() == [store.manifest.parts[-1].rows - 1]
    for kind in ("image", "text"):
        assert len(store.vectors(kind)) == store.rows
        assert store.vectors(kind)[-1].any()
    return store.rows


def test_an_opened_collection_does_not_change_while_parts_are_added(make_parts, build, tmp_path):
    build(make_parts(30, folder="first"), tmp_path / "c")
    store = Store(tmp_path / "c")
    before, vectors = store.take(np.arange(30)), store.vectors("image")
    build(make_parts(20, numbers=[1]), tmp_path / "c")
    assert store.rows == len(vectors) == 30
    assert store.take(np.arange(30)) == before
    assert Store(tmp_path / "c").rows == 50


def test_before_the_first_build_has_ended_there_is_no_collection(make_parts, build, tmp_path):
    class Ended(Exception):
        pass

    def look(done, total):
        with pytest.raises(MissingFile, match="is not a collection: it has no"):
            Store(tmp_path / "c")
        if done == total:
            raise Ended

    with pytest.raises(Ended):
        build(make_parts(30, 20), tmp_path / "c", progress=look)
    with pytest.raises(MissingFile):
        Store(tmp_path / "c")
