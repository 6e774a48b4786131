"""A served collection that changes: its newest version is served, and no request is lost meanwhile."""

import os
import shutil
import threading
import time

import pytest
from fastapi.testclient import TestClient

import pairdex
from old_collections import unpack_old_collection
from pairdex.derived.codes import codes_path
from pairdex.derived.kinds import KINDS
from pairdex.files import lock
from pairdex.service.app import make_app
from pairdex.service.reloader import state_of
from served import SCENES, draw_scenes, sample, wait_until

MORE = 40


@pytest.fixture(scope="session")
def more_parts(tmp_path_factory, scenes):
    """The parts of the drawn scenes, and one more."""
    root = tmp_path_factory.mktemp("more")
    draw_scenes(root / "pictures", MORE)
    pairdex.encode(root / "pictures", root / "new", model="demo")
    parts = shutil.copytree(scenes.parent / "parts", root / "parts")
    for path in sorted((root / "new").rglob("*")):
        if path.is_file() and path.suffix in (".npy", ".parquet"):
            name = path.name.replace("_0", "_1")
            shutil.copy(path, parts / path.relative_to(root / "new").with_name(name))
    return parts


@pytest.fixture
def folder(scenes, tmp_path):
    return shutil.copytree(scenes, tmp_path / "scenes")


@pytest.fixture
def app(folder):
    app = make_app([pairdex.open(folder)])
    app.state.reloader._poll_seconds = 0.01
    return app


@pytest.fixture
def client(app):
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        wait_until(lambda: app.state.reloader.is_warm)
        yield client


def reopened(app):
    """How many times the service has opened a collection again."""
    return sample(app.state.metrics.text(), "pairdex_reopened_total")


def rows(client):
    return client.get("/api/collections").json()["collections"][0]["rows"]


def test_health_says_warming_until_all_can_be_searched(folder):
    client = TestClient(make_app([pairdex.open(folder)]), base_url="http://localhost")
    response = client.get("/health")  # its life has not begun
    assert response.status_code == 503
    assert response.json()["status"] == "warming"
    assert response.headers["retry-after"] == "1"


def test_a_warm_service_has_codes_and_its_model_in_place(client, folder, monkeypatch):
    assert codes_path(folder, "image").exists()
    assert codes_path(folder, "text").exists()
    response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


def test_health_says_that_a_collection_cannot_be_searched(folder, caplog):
    app = make_app([pairdex.open(folder)])
    codes = codes_path(folder, "image")
    codes.parent.mkdir(parents=True, exist_ok=True)
    codes.write_bytes(b"no codes at all")
    with TestClient(app, base_url="http://localhost") as client:
        wait_until(lambda: app.state.reloader.failed is not None)
        response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "failed")
    assert "scenes cannot be searched" in caplog.text


def test_it_recovers_when_the_collection_does(folder):
    app = make_app([pairdex.open(folder)])
    app.state.reloader._poll_seconds = 0.01
    codes = codes_path(folder, "image")
    codes.parent.mkdir(parents=True, exist_ok=True)
    codes.write_bytes(b"no codes at all")
    with TestClient(app, base_url="http://localhost") as client:
        wait_until(lambda: app.state.reloader.failed is not None)
        codes.unlink()
        wait_until(lambda: app.state.reloader.is_warm)
        assert client.post("/api/search", json={"text": "a red car"}).status_code == 200


def test_no_request_is_lost_while_all_changes(client, app, folder, more_parts):
    ended, lost, answered = threading.Event(), [], []
    vector = pairdex.open(folder).vectors()[3].astype(float).tolist()
    bodies = [{"text": "a red car"}, {"vector": vector}, {"like": 3}, {"like": 4, "on": "text"}]

    def ask(body):
        while not ended.is_set():
            response = client.post("/api/search", json={**body, "k": 5})
            if response.status_code != 200 or len(response.json()["hits"]) != 5:
                lost.append(response.text)
            answered.append(response.json()["hits"][0]["id"])

    threads = [threading.Thread(target=ask, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        pairdex.build(more_parts, folder)
        wait_until(lambda: rows(client) == SCENES + MORE)
        pairdex.remove(folder, ids=[7, 8, SCENES + 1], reason="takedown")
        assert rows(client) == SCENES + MORE - 3
        before = reopened(app)
        for on in ("image", "text"):
            codes_path(folder, on).unlink()
        wait_until(lambda: reopened(app) > before)
        wait_until(lambda: codes_path(folder, "image").exists())
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert lost == []
    assert len(answered) > len(threads)
    new = pairdex.open(folder).vectors()[SCENES + 5].astype(float).tolist()
    hits = client.post("/api/search", json={"vector": new, "k": 3}).json()["hits"]
    assert hits[0]["distance"] < 1e-6
    assert SCENES + 5 in [hit["id"] for hit in hits]


def test_a_version_in_use_outlives_the_switch(client, app, folder, more_parts):
    old = app.state.catalogue.pick(None)
    pairdex.build(more_parts, folder)
    wait_until(lambda: rows(client) == SCENES + MORE)
    assert app.state.catalogue.pick(None) is not old
    assert len(old.collection.search(like=3, k=5)) == 5
    assert len(old.collection) == SCENES
    wait_until(lambda: all(key.served is not old for key in app.state.searches._searching))


def test_a_damaged_version_is_told_once_and_the_old_one_served_on(client, folder, caplog):
    manifest = folder / "collection.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole.replace(b'"name"', b'"nome"', 1))
    wait_until(lambda: "has changed, but cannot be opened" in caplog.text)
    time.sleep(0.05)  # some more looks
    assert caplog.text.count("cannot be opened") == 1
    assert client.post("/api/search", json={"like": 3}).status_code == 200
    assert client.get("/health").status_code == 200


def test_without_codes_for_the_moment_the_old_version_is_served(client, app, folder, more_parts):
    app.state.reloader._poll_seconds = 3600  # only the looks below
    time.sleep(0.05)
    pairdex.build(more_parts, folder)
    served = app.state.catalogue.pick(None)
    with lock.writing(folder):
        assert app.state.reloader._newest(served) is None
        assert app.state.reloader._newest(served) is None
    newest = app.state.reloader._newest(served)
    assert len(newest.collection) == SCENES + MORE
    assert newest.collection.is_prepared("image")


def test_state_changes_with_what_is_derived_and_not_with_what_is_on_its_way(folder):
    shutil.rmtree(folder / "indexes", ignore_errors=True)
    before = state_of(folder)
    pairdex.open(folder).prepare("image")
    with_codes = state_of(folder)
    assert before != with_codes
    (folder / "indexes" / "image" / ".codes.1234.partial").write_bytes(b"on its way")
    files = {path for path, *_ in with_codes}
    assert {path for path, *_ in state_of(folder)} == files


WATCHED = [kind for kind in KINDS if kind.heading != "look-ups"]  # answers do not depend on those


@pytest.mark.parametrize("kind", WATCHED, ids=lambda kind: kind.name)
def test_state_changes_with_every_kind_of_derived_data(kind, tmp_path):
    folder = unpack_old_collection("0.1.0", tmp_path)
    if kind.name == "graph":  # the old release knew none
        pairdex.index(folder, kind="graph")
    before = state_of(folder)
    for pattern in kind.files:
        for path in folder.glob(pattern):
            os.utime(path, ns=(1, 1))
    changed = {path for path, *_ in set(before) ^ set(state_of(folder))}
    written = {
        str(folder / one.file) for name in kind.find(folder) for one in kind.checks(folder, name)
    }
    assert changed
    assert changed <= written
