"""Searches of several terms, and safe mode, over REST."""

import pytest
from fastapi.testclient import TestClient

import pairdex
from pairdex.service.app import make_app


def search(client, **body):
    response = client.post("/api/search", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def complaint(client, **body):
    response = client.post("/api/search", json=body)
    assert response.status_code == 422, response.text
    return response.json()["error"]


@pytest.fixture
def tagged(collection):
    """A client of a collection whose rows are tagged, every fourth as safe."""
    return TestClient(make_app([pairdex.open(collection)]), base_url="http://localhost")


def test_a_car_but_not_red_is_found(client):
    terms = [{"text": "a car"}, {"text": "red", "weight": -0.5}]
    captions = [hit["caption"] for hit in search(client, terms=terms, k=3)["hits"]]
    assert all("car" in caption and "red" not in caption for caption in captions)


def test_terms_of_every_kind_go_together(client, collections):
    vector = collections[0].vectors("image")[50].astype(float).tolist()
    terms = [
        {"text": "cat", "weight": 2},
        {"like": 20},
        {"vector": vector, "weight": 0.5},
        {"like": 21, "weight": -1},
    ]
    found = [hit["id"] for hit in search(client, terms=terms, k=190)["hits"]]
    assert len(found) == len(set(found)) == 190
    assert not {20, 21} & set(found)


@pytest.mark.parametrize(
    ("terms", "field", "message"),
    [
        ([], "terms", "at least 1"),
        ([{"like": 1}] * 17, "terms", "at most 16"),
        ([{}], "terms", "a term takes exactly one of text, image, like and vector, got none"),
        ([{"text": "a", "like": 1}], "terms", "got text and like"),
        ([{"text": "a", "weight": 0}], "terms", "weight of a term is 0"),
        ([{"text": "a", "weight": 1e9}], "terms.0.weight", "less than or equal to 1000"),
        ([{"text": "a", "weight": "1"}], "terms.0.weight", "valid number"),
        ([{"text": "a", "weight": -1}], "terms", "at least one has to say what is wanted"),
        ([{"like": 3}, {"like": 3, "weight": -1}], "terms", "the same as the plus terms"),
        ([{"like": 999}], "like", "row 999 does not exist"),
        ([{"vector": [1.0]}], "vector", "expected 64"),
        ([{"image_url": "http://169.254.169.254/"}], "image_url", "refused"),
        ([{"image": "!!!"}], "image", "not valid base64"),
        ([{"text": "a", "terms": []}], "terms.0.terms", "not a field"),
    ],
)
def test_wrong_terms_are_refused(client, terms, field, message):
    error = complaint(client, terms=terms)
    assert error["field"] == field
    assert message in error["message"]


def test_terms_beside_a_text_are_refused(client):
    error = complaint(client, text="a", terms=[{"like": 1}])
    assert error["message"].startswith(
        "search takes exactly one of text, image, image_url, like, vector and"
    )


def test_terms_of_texts_need_the_model(client):
    body = {"collection": "web", "terms": [{"like": 1}, {"text": "a"}]}
    response = client.post("/api/search", json=body)
    assert response.status_code == 409
    assert response.json()["error"]["field"] == "terms"


def test_safe_mode_is_on_where_the_collection_has_it(tagged):
    assert tagged.get("/api/collections").json()["collections"][0]["safe"] is True
    answer = search(tagged, like=1, k=60)
    assert answer["safe"] is True
    assert {hit["nsfw"] for hit in answer["hits"]} == {"UNLIKELY"}
    assert len(answer["hits"]) == 16


def test_safe_mode_is_turned_off_by_asking(tagged):
    answer = search(tagged, like=1, k=60, safe=False)
    assert answer["safe"] is False
    assert len(answer["hits"]) == 59


def test_without_a_column_to_know_it_by_safe_mode_is_off_and_refused(client):
    assert search(client, like=1, k=1)["safe"] is False
    assert complaint(client, like=1, safe=True)["field"] == "safe"
    assert client.get("/api/collections").json()["collections"][0]["safe"] is False


def test_a_filter_does_not_lead_out_of_safe_mode(tagged):
    answer = search(tagged, like=1, k=60, where="nsfw = 'NSFW' OR true")
    assert {hit["nsfw"] for hit in answer["hits"]} == {"UNLIKELY"}
    assert complaint(tagged, like=1, where="1=1) OR (1=1")["field"] == "where"
