"""A running service shows a removed row to nobody, without being started again."""

import shutil

import pytest
from fastapi.testclient import TestClient

import pairdex
from pairdex.service.app import make_app

GONE = 20


@pytest.fixture
def folder(scenes, tmp_path):
    return shutil.copytree(scenes, tmp_path / "scenes")


@pytest.fixture
def client(folder):
    with TestClient(make_app([pairdex.open(folder)]), base_url="http://localhost") as client:
        yield client


def remove(folder, *ids):
    pairdex.remove(folder, ids=list(ids), reason="takedown")


def error(response, status):
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_a_removed_row_is_gone_from_every_route(client, folder):
    vector = pairdex.open(folder).vectors()[GONE].astype(float).tolist()
    picture = client.get(f"/api/items/{GONE}/picture")
    assert picture.status_code == 200
    remove(folder, GONE)
    gone = f"row {GONE} was removed from scenes"
    assert error(client.get(f"/api/items/{GONE}"), 404)["message"] == gone
    assert error(client.post("/api/items", json={"ids": [1, GONE]}), 404)["message"] == gone
    known = {"If-None-Match": picture.headers["etag"]}
    for headers in ({}, known):  # a thumbnail that a browser has kept is not confirmed either
        shown = client.get(f"/api/items/{GONE}/picture", headers=headers)
        assert error(shown, 404)["message"] == gone
    assert picture.headers["cache-control"] == "private, no-cache"
    refused = error(client.post("/api/search", json={"like": GONE}), 422)
    assert (refused["message"], refused["field"]) == (gone, "like")
    for query in (
        {"vector": vector},
        {"like": 21},
        {"text": "a red car"},
        {"vector": vector, "on": "text"},
    ):
        hits = client.post("/api/search", json={**query, "k": 1000}).json()["hits"]
        assert len(hits) == (198 if "like" in query else 199)
        assert GONE not in {hit["id"] for hit in hits}


def test_counts_are_of_live_rows(client, folder):
    remove(folder, GONE, 3)
    (served,) = client.get("/api/collections").json()["collections"]
    assert (served["rows"], served["removed"]) == (198, 2)
    assert 'pairdex_rows{collection="scenes"} 198' in client.get("/metrics").text


def test_ids_behind_the_last_row_are_still_told(client, folder):
    remove(folder, GONE)
    told = error(client.get("/api/items/200"), 404)["message"]
    assert told == "row 200 does not exist: scenes has the ids 0 to 199"
    assert client.get("/api/items/199").status_code == 200


def test_tombstones_that_cannot_be_read_stop_the_service_from_answering(client, folder):
    remove(folder, GONE)
    (folder / "removed.arrow").write_bytes(b"ARROW1 and nothing more")
    refused = error(client.post("/api/search", json={"like": 1}), 503)
    assert refused["code"] == "damaged_file"
    assert error(client.get("/api/items/1"), 503)["code"] == "damaged_file"
