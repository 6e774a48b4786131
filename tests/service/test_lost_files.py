"""Folders and files that vanish, shrink or are replaced under a running service: 503, never a wrong answer."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request

import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.service.app import make_app
from pairdex.service.routes import ROUTES
from served import serving_process, wait_until

GONE = 20
POLL_SECONDS = 0.01
REQUESTS = {
    "POST /api/search": {"like": 3},
    "POST /api/download": {"like": 3, "format": "jsonl"},
    "POST /api/contains": {"urls": ["http://example.org/1.jpg"]},
    "POST /api/facets": {},
    "POST /api/items": {"ids": [1]},
    "GET /api/items/{id}": None,
    "GET /api/items/{id}/picture": None,
    "POST /knn-service": {"text": "a cat", "num_images": 3},
    "POST /metadata": {"ids": [1]},
    "GET /indices-list": None,
    "GET /api/collections": None,
    "GET /api/duplicates": None,
    "GET /api/duplicates/{id}": None,
    "GET /api/atlas": None,
    "GET /api/atlas/column": None,
    "POST /api/atlas/places": {"ids": [1]},
}
MORE = {
    "text": ("POST /api/search", {"text": "a red car"}),
    "keywords": ("POST /api/search", {"text": "a car", "keywords": "red"}),
    "words": ("POST /api/search", {"keywords": "red"}),
    "rows in order": ("POST /api/search", {"sort": "width", "where": "width > 5"}),
    "filter": ("POST /api/search", {"like": 3, "where": "width > 5"}),
    "folded": ("POST /api/search", {"like": 3, "fold": 0.06}),
    "captions": ("POST /api/search", {"like": 3, "on": "text"}),
    "projection": ("POST /api/search", {"like": 3, "on": "pca96"}),
    "picture": ("POST /api/contains", {"image": "AAAA"}),
}
EVERY = {**{route: (route, body) for route, body in REQUESTS.items()}, **MORE}
NEEDED = {"/api/atlas/column": {"name": "width"}}  # in the address
ALWAYS = {"GET /health", "GET /metrics"}


@pytest.fixture
def folder(scenes, tmp_path):
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    pairdex.remove(folder, ids=[GONE], reason="takedown")
    pairdex.open(folder).prepare("image")
    pairdex.open(folder).prepare("text")
    return folder


@pytest.fixture
def app(folder):
    app = make_app([pairdex.open(folder)])
    app.state.reloader._poll_seconds = POLL_SECONDS
    return app


@pytest.fixture
def client(app):
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        wait_until(lambda: app.state.reloader.is_warm)
        yield client


def ask(client, route, body):
    method, path = route.split()
    return client.request(method, path.replace("{id}", "1"), json=body, params=NEEDED.get(path))


def status(client, name):
    return ask(client, *EVERY[name]).status_code


def refusal(client, name):
    """Return status and code of what has to be an error that does not say where the collection lies."""
    response = ask(client, *EVERY[name])
    error = response.json()["error"]
    assert "pytest-" not in error["message"], error
    return response.status_code, error["code"]


def test_every_route_is_asked_here():
    assert {f"{route.method} {route.path}" for route in ROUTES} == REQUESTS.keys() | ALWAYS


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_a_folder_that_has_gone_is_503_on_every_route_and_served_again_when_it_is_back(
    client, app, folder, is_looked_at, caplog
):
    if not is_looked_at:  # between two looks of the reloader
        app.state.reloader._poll_seconds = 3600
        time.sleep(5 * POLL_SECONDS)
    before = ask(client, *EVERY["keywords"]).json()["hits"]
    folder.rename(folder.with_name("elsewhere"))
    for name in EVERY:
        assert refusal(client, name) == (503, "missing_file"), name
        assert refusal(client, name) == (503, "missing_file"), name
    assert client.get("/health").status_code == 503
    assert client.get("/health").json()["status"] == "unavailable"
    assert 'pairdex_available{collection="scenes"} 0.0' in client.get("/metrics").text
    assert "Traceback" not in caplog.text
    assert not folder.exists()  # nothing was written there
    folder.with_name("elsewhere").rename(folder)
    wait_until(lambda: client.get("/health").status_code == 200)
    assert ask(client, *EVERY["keywords"]).json()["hits"] == before
    assert client.get(f"/api/items/{GONE}").status_code == 404


@pytest.mark.parametrize(
    "name", ["collection.json", "image/00000.npy", "text/00000.npy", "metadata/00000.arrow", "removed.arrow"]
)  # fmt: skip
@pytest.mark.parametrize("how", ["gone", "cut short"])
def test_a_file_that_the_manifest_names_is_missed_on_every_route(client, folder, name, how):
    path = folder / name
    saved = shutil.copy(path, folder.with_name("saved"))
    path.unlink()
    if how == "cut short":  # another file, shorter: maps of the old one go on
        path.write_bytes(saved.read_bytes()[:-1])
    if (name, how) == (
        "collection.json",
        "cut short",
    ):  # it may be on its way: the old one is served
        assert status(client, "text") == 200
        return
    wait_until(lambda: client.get("/health").status_code == 503)
    for each in EVERY:
        code, reason = refusal(client, each)
        assert code == 503, each
        assert reason in ("missing_file", "damaged_file"), each
    saved.replace(path)
    wait_until(lambda: client.get("/health").status_code == 200)
    assert status(client, "text") == 200
    assert client.get(f"/api/items/{GONE}").status_code == 404


@pytest.mark.parametrize("is_other", [True, False])
def test_a_removed_row_never_comes_back_while_its_folder_is_replaced(
    client, app, folder, scenes, web, is_other
):
    """By another collection, or by a copy of its own from before the removal."""
    folder.rename(folder.with_name("elsewhere"))
    shutil.copytree(web if is_other else scenes, folder)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        shown = client.get(f"/api/items/{GONE}")
        if shown.status_code == 200:
            assert is_other
            assert shown.json()["caption"] == f"row {GONE} of the web"
        else:
            assert shown.status_code in (404, 503)
        found = client.post("/api/search", json={"like": 3, "k": 1000})
        if found.status_code == 200 and not is_other:
            assert GONE not in [hit["id"] for hit in found.json()["hits"]]
    if is_other:
        wait_until(lambda: client.get("/health").status_code == 200)
        assert len(app.state.catalogue.pick(None).collection) == 50
        return
    assert refusal(client, "text") == (503, "missing_file")
    pairdex.remove(folder, ids=[GONE], reason="takedown again")
    wait_until(lambda: client.get("/health").status_code == 200)
    assert client.get(f"/api/items/{GONE}").status_code == 404


def test_one_collection_that_has_gone_leaves_the_others(folder, web):
    app = make_app([pairdex.open(folder), pairdex.open(web)])
    with TestClient(app, base_url="http://localhost") as client:
        wait_until(lambda: app.state.reloader.is_warm)
        folder.rename(folder.with_name("elsewhere"))
        names = [one["name"] for one in client.get("/api/collections").json()["collections"]]
        assert names == client.get("/indices-list").json() == ["web"]
        assert client.post("/api/search", json={"like": 3, "collection": "web"}).status_code == 200
        assert client.post("/api/search", json={"like": 3}).status_code == 503  # not another's rows
        assert client.get("/health").json()["status"] == "unavailable"


def test_a_disk_that_fails_is_503_in_one_line(client, monkeypatch, caplog):
    def fails(*_, **__):
        raise OSError(5, "Input/output error", "/somewhere/secret")

    monkeypatch.setattr(pairdex.Collection, "facets", fails)
    response = client.post("/api/facets", json={})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unreadable_file")
    assert "secret" not in response.text
    (line,) = [one for one in caplog.records if one.name == "pairdex.service"]
    assert "Input/output error" in line.getMessage()
    assert line.exc_info is None


def test_the_reloader_says_once_that_a_folder_has_gone(client, folder, caplog):
    folder.rename(folder.with_name("elsewhere"))
    wait_until(lambda: "scenes cannot be served now" in caplog.text)
    time.sleep(5 * POLL_SECONDS)
    assert caplog.text.count("cannot be served now") == 1


def http(url, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


CUT = {
    "image/00000.npy": [{"like": 3}, {"vector": [1.0] * 64}],
    "text/00000.npy": [{"vector": [1.0] * 64, "on": "text"}],
    "metadata/00000.arrow": [{"like": 3}, {"like": 3, "where": "width > 7"}],
    "indexes/image/codes": [{"vector": [1.0] * 64}],
}


def codes_file(folder):
    (path,) = [one for one in (folder / "indexes" / "image").iterdir() if one.is_file()]
    return path


@pytest.mark.parametrize("name", CUT)
def test_a_mapped_file_that_is_cut_short_ends_no_service(scenes, tmp_path, name):
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    pairdex.open(folder).prepare("image")
    path = codes_file(folder) if name == "indexes/image/codes" else folder / name
    whole = path.read_bytes()
    log = tmp_path / "log"
    with serving_process(log, folder) as (url, process):
        before = [http(url, "/api/search", body) for body in CUT[name]]
        assert {status for status, _ in before} == {200}
        os.truncate(path, 0)
        for body in CUT[name] * 3:
            status, answer = http(url, "/api/search", body)
            assert process.poll() is None, log.read_text()
            if status == 200:  # opened again, or not read: right all the same
                assert answer["hits"] == before[CUT[name].index(body)][1]["hits"]
            else:
                assert (status, answer["error"]["code"]) == (503, "damaged_file")
        if name != "indexes/image/codes":  # codes are made again, or refused by name
            wait_until(lambda: http(url, "/health")[1]["status"] == "unavailable")
        path.write_bytes(whole)
        wait_until(lambda: http(url, "/health")[0] == 200)
        after = [http(url, "/api/search", body) for body in CUT[name]]
        assert [one["hits"] for _, one in after] == [one["hits"] for _, one in before]
        assert process.poll() is None
    assert "Traceback" not in log.read_text()
