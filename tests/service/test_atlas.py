"""The map over REST: live rows only, of the atlas that is there, and what to do where there is none."""

import base64
import shutil

import numpy as np
import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.derived.atlas.files import open_atlas
from pairdex.service.app import make_app
from pairdex.store.store import Store
from served import wait_until

pytest.importorskip("umap.umap_")

ROWS, POINTS = 200, 120


@pytest.fixture(scope="module")
def mapped(scenes, tmp_path_factory):
    folder = shutil.copytree(scenes, tmp_path_factory.mktemp("mapped") / "scenes")
    pairdex.atlas(folder, sample=POINTS, seed=2)
    return folder


@pytest.fixture
def folder(mapped, tmp_path):
    return shutil.copytree(mapped, tmp_path / "scenes")


@pytest.fixture
def client(folder, web):
    app = make_app([pairdex.open(folder), pairdex.open(web)])
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        wait_until(lambda: app.state.reloader.is_warm)  # then it writes nothing more
        yield client


def decoded(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def error(response, status):
    assert response.status_code == status, response.text
    return response.json()["error"]


def test_the_map_has_the_points_of_the_atlas(client, folder):
    atlas = open_atlas(Store(folder))
    told = client.get("/api/atlas").json()
    assert (told["points"], told["rows"], told["seed"], told["on"]) == (POINTS, ROWS, 2, "image")
    assert decoded(told["ids"], "<f8").tolist() == atlas.ids.tolist()
    positions = decoded(told["positions"], "<u2").reshape(-1, 2) / 65_535
    assert np.abs(positions - atlas.positions).max() < 1e-5
    assert decoded(told["weights"], "<u4").sum() == ROWS
    assert {"level", "x", "y", "points", "words"} == set(told["regions"][0])


def test_every_row_has_a_place_at_its_point(client, folder):
    atlas = open_atlas(Store(folder))
    asked = [199, 0, int(atlas.ids[5])]
    places = client.post("/api/atlas/places", json={"ids": asked}).json()["places"]
    assert np.allclose(places, atlas.positions[atlas.places[asked]], atol=1e-6)
    assert client.post("/api/atlas/places", json={"ids": []}).json() == {"places": []}


def test_a_removed_row_vanishes_from_the_map(client, folder):
    gone = int(open_atlas(Store(folder)).ids[3])
    assert gone in decoded(client.get("/api/atlas").json()["ids"], "<f8")
    pairdex.remove(folder, ids=[gone], reason="takedown")
    told = client.get("/api/atlas").json()
    assert gone not in decoded(told["ids"], "<f8")
    assert (told["points"], told["rows"]) == (POINTS - 1, ROWS - 1)
    refused = error(client.post("/api/atlas/places", json={"ids": [gone]}), 404)
    assert refused["field"] == "ids"


def test_without_an_atlas_it_says_how_to_make_one(client):
    told = error(client.get("/api/atlas?collection=web"), 404)
    assert told["code"] == "no_atlas"
    assert told["message"] == "web has no atlas; make it with pairdex atlas web"
    asked = {"collection": "web", "ids": [0]}
    assert error(client.post("/api/atlas/places", json=asked), 404)["code"] == "no_atlas"


def test_an_atlas_made_while_it_runs_is_shown_at_once(client, folder):
    assert client.get("/api/atlas").json()["seed"] == 2
    pairdex.atlas(folder, sample=50, seed=3)
    told = client.get("/api/atlas").json()
    assert (told["seed"], told["points"]) == (3, 50)


def test_an_atlas_of_other_vectors_is_refused(folder, scenes):
    other = pairdex.subset(folder, folder.parent / "other", where="id < 100")
    assert other.rows == 100
    shutil.copytree(folder / "atlas", folder.parent / "other" / "atlas")
    app = make_app([pairdex.open(folder.parent / "other")])
    with TestClient(app, base_url="http://localhost") as client:
        told = error(client.get("/api/atlas"), 409)
    assert told["code"] == "stale_atlas"
    assert "run pairdex atlas other again" in told["message"]


def test_a_damaged_atlas_is_the_service_s_own_trouble(client, folder):
    next((folder / "atlas").glob("ids-*.npy")).write_bytes(b"")
    told = error(client.get("/api/atlas"), 503)
    assert told["code"] == "damaged_file"
    assert str(folder) not in told["message"]


def test_points_have_the_values_of_a_column(client, folder):
    pairdex.remove(folder, ids=[int(open_atlas(Store(folder)).ids[0])], reason="takedown")
    ids = decoded(client.get("/api/atlas").json()["ids"], "<f8").astype(int)
    rows = pairdex.open(folder).take(ids)
    told = client.get("/api/atlas/column?name=height").json()
    assert (told["type"], told["labels"], told["codes"]) == ("int32", None, None)
    assert decoded(told["numbers"], "<f8").tolist() == rows["height"].to_pylist()
    told = client.get("/api/atlas/column?name=caption").json()
    codes = decoded(told["codes"], "u1")
    assert len(told["labels"]) == 8
    for caption, code in zip(rows["caption"].to_pylist(), codes.tolist(), strict=True):
        assert (told["labels"][code] == caption) if code < 8 else (caption not in told["labels"])
    taken = client.get("/api/atlas/column?name=taken").json()
    assert np.isnan(decoded(taken["numbers"], "<f8")).all()
    assert error(client.get("/api/atlas/column?name=nothing"), 404)["field"] == "name"
    assert (
        error(client.get("/api/atlas/column?collection=web&name=width"), 404)["code"] == "no_atlas"
    )
