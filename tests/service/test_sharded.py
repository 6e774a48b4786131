"""A service answers for a sharded collection as for the collection that it was divided from."""

import shutil

import pytest
from starlette.testclient import TestClient

import pairdex
from pairdex.service.app import make_app
from pairdex.service.reloader import state_of
from served import sample, wait_until
from sharded import make_twins


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    return make_twins(tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def client(twins):
    app = make_app([twins.whole, twins.shards])
    with TestClient(app, base_url="http://localhost") as client:
        wait_until(lambda: app.state.reloader.is_warm)
        yield client


@pytest.fixture
def served(twins, tmp_path):
    """The folder of a copy of the shards, the app and the client of a service that looks for changes at once."""
    folder = shutil.copytree(twins.shards, tmp_path / "s")
    app = make_app([folder])
    app.state.reloader._poll_seconds = 0.01
    with TestClient(app, base_url="http://localhost") as client:
        wait_until(lambda: app.state.reloader.is_warm)
        yield folder, app, client


@pytest.mark.parametrize(
    ("route", "request_"),
    [
        ("search", {"text": "a red dog", "k": 7}),
        ("search", {"text": "a red dog", "k": 7, "offset": 3, "hybrid": False, "where": "id > 60"}),
        ("search", {"like": 66, "unlike": "a boat", "fold": 0.1}),
        ("search", {"keywords": "dog cat", "on": "text", "like": 3}),
        ("search", {"sort": "width", "descending": True, "where": "nsfw = 'NSFW'", "k": 5}),
        ("search", {"vector": [1.0] * 64, "safe": True}),
        ("facets", {"where": "width < 104", "keywords": "hill"}),
        ("items", {"ids": [199, 3, 70]}),
    ],
)
def test_requests_have_the_same_answers(client, route, request_):
    answers = [
        client.post(f"/api/{route}", json={"collection": name, **request_})
        for name in ("whole", "shards")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    one, other = (answer.json() for answer in answers)
    for answer in (one, other):
        for changing in ("seconds", "collection"):
            answer.pop(changing, None)
    assert other == one


def test_the_catalogue_and_single_rows_are_alike(client):
    one, other = client.get("/api/collections").json()["collections"]
    assert {**other, "name": "whole"} == one
    assert (
        client.get("/api/items/150?collection=shards").json()
        == client.get("/api/items/150?collection=whole").json()
    )
    gone = client.get("/api/atlas?collection=shards")
    assert gone.status_code == 404


def test_a_row_removed_from_a_shard_is_gone_at_the_next_request(served):
    folder, _, client = served
    assert client.get("/api/items/70").status_code == 200
    pairdex.remove(folder / "shards/00001", ids=[5], reason="takedown")
    assert client.get("/api/items/70").status_code == 404
    hits = client.post("/api/search", json={"like": 66, "k": 200, "safe": False}).json()["hits"]
    assert len(hits) == 198
    assert 70 not in {hit["id"] for hit in hits}


def test_a_changed_shard_is_opened_again(served):
    folder, app, client = served
    before = state_of(folder)
    pairdex.set_model(folder / "shards/00001", "demo")  # writes what is there
    pairdex.index(folder / "shards/00001")
    assert state_of(folder) != before
    wait_until(lambda: sample(app.state.metrics.text(), "pairdex_reopened_total") > 0)
    assert client.post("/api/search", json={"like": 66}).status_code == 200


def test_a_lost_shard_makes_the_collection_unavailable_not_smaller(served):
    folder, _, client = served
    (folder / "shards/00002").rename(folder / "aside")
    answer = client.post("/api/search", json={"like": 1})
    assert answer.status_code == 503
    (folder / "aside").rename(folder / "shards/00002")
    wait_until(lambda: client.post("/api/search", json={"like": 1}).status_code == 200)


def test_near_duplicates_of_shards_are_refused_at_once(client):
    answer = client.get("/api/duplicates?collection=shards")
    assert answer.status_code == 422
    assert "is a sharded collection" in answer.json()["error"]["message"]
