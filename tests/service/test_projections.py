"""A service searches in the projections that its collections have."""

import shutil

import pytest
from fastapi.testclient import TestClient

import pairdex
from pairdex.service.app import make_app


@pytest.fixture
def folder(scenes, tmp_path):
    copy = shutil.copytree(scenes, tmp_path / "scenes")
    pairdex.project(copy, "pca16")
    return copy


def test_a_search_on_a_projection_says_that_it_is_one(folder):
    with TestClient(make_app([pairdex.open(folder)]), base_url="http://localhost") as client:
        told = client.get("/api/collections").json()["collections"][0]
        assert told["projections"] == ["pca16"]
        found = client.post("/api/search", json={"text": "a red car", "on": "pca16"}).json()
        assert (found["exact"], found["on"], len(found["hits"])) == (False, "pca16", 10)
        expected = pairdex.open(folder).search(text="a red car", on="pca16")
        assert [hit["id"] for hit in found["hits"]] == expected["id"].to_pylist()
        similar = [hit["similarity"] for hit in found["hits"]]
        assert similar == pytest.approx(expected["similarity"].to_pylist())
        error = client.post("/api/search", json={"like": 1, "on": "hamming"})
        assert error.status_code == 422
        assert error.json()["error"]["field"] == "on"
        message = error.json()["error"]["message"]
        assert message.startswith("scenes has no projection hamming, it has image, text, pca16")
