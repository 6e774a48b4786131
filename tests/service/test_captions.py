"""The captions of a large collection are indexed in the background; no request waits for that."""

import shutil
from threading import Event

import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.errors import DamagedFile
from pairdex.service.app import make_app
from pairdex.service.reloader import state_of
from served import wait_until


@pytest.fixture
def large(scenes, tmp_path, monkeypatch):
    """A collection whose captions are not indexed, and that counts as large."""
    monkeypatch.setattr("pairdex.search.captions.AT_ONCE_ROWS", 10)
    folder = shutil.copytree(scenes, tmp_path / "large")
    shutil.rmtree(folder / "indexes" / "keywords", ignore_errors=True)
    return folder


@pytest.fixture
def gate(monkeypatch):
    """An event that the indexing of captions waits for."""
    event = Event()

    def waiting(*arguments, **options):
        assert event.wait(60)
        return KeywordIndex(*arguments, **options)

    monkeypatch.setattr("pairdex.search.captions.KeywordIndex", waiting)
    yield event
    event.set()


def serving(folder):
    app = make_app([pairdex.open(folder)])
    return app, TestClient(app, base_url="http://localhost")


def test_searches_are_answered_by_vectors_until_the_captions_are_indexed(large, gate):
    app, client = serving(large)
    with client:
        wait_until(lambda: app.state.reloader.is_warm)
        for how in ({}, {"fold": 0.01}):
            early = client.post("/api/search", json={"text": "cat", **how}).json()
            assert (early["method"], early["words"]) == ("vectors", [])
            assert "captions are being indexed" in early["note"]
        assert client.post("/api/search", json={"like": 3}).json()["note"] is None
        for path, body in (
            ("/api/search", {"text": "cat", "keywords": "cat"}),
            ("/api/search", {"keywords": "cat"}),
            ("/api/download", {"keywords": "cat", "format": "csv"}),
            ("/api/facets", {"keywords": "cat"}),
        ):
            refused = client.post(path, json=body)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]
            error = refused.json()["error"]
            assert (error["code"], error["field"]) == ("indexing", "keywords")
        gate.set()
        wait_until(lambda: client.post("/api/search", json={"keywords": "cat"}).status_code == 200)
        later = client.post("/api/search", json={"text": "cat"}).json()
        assert (later["method"], later["words"], later["note"]) == ("hybrid", ["cat"], None)
    assert (large / "indexes" / "keywords" / "00000").exists()


def test_indexed_captions_are_no_reason_to_open_a_collection_again(large):
    before = state_of(large)
    pairdex.open(large).prepare_keywords()
    assert state_of(large) == before


def test_captions_that_cannot_be_indexed_are_logged_once(large, monkeypatch, caplog):
    def damaged(*_, **__):
        raise DamagedFile("indexes/keywords/00000 is damaged")

    monkeypatch.setattr("pairdex.search.captions.KeywordIndex", damaged)
    app, client = serving(large)
    with client:
        wait_until(lambda: "cannot be indexed" in caplog.text)
        assert client.post("/api/search", json={"text": "cat"}).json()["method"] == "vectors"
        for served in app.state.catalogue:
            assert not app.state.reloader._needs_indexing(served)
    assert caplog.text.count("cannot be indexed") == 1
