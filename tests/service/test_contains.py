"""Is this URL, is this picture in the collection? And keywords, folding over REST."""

import base64
import io

import numpy as np
import pytest
from PIL import Image


def ask(client, path="/api/contains", **body):
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_urls_are_found_in_the_order_asked(client):
    urls = ["http://pictures.invalid/7.jpg", "nope", " http://pictures.invalid/9.jpg"]
    answer = ask(client, collection="web", urls=urls)
    assert answer["urls"] == [
        {"url": urls[0], "ids": [7]},
        {"url": "nope", "ids": []},
        {"url": urls[2], "ids": [9]},
    ]
    assert answer["image"] is None


@pytest.mark.parametrize("url", ["' OR '1'='1", "%", "javascript:alert(1)'--", "\ud800", "a\0b"])
def test_urls_are_no_sql(client, url):
    body = f'{{"collection": "web", "urls": [{ascii_json(url)}]}}'
    response = client.post(
        "/api/contains", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code in (200, 400, 422)
    if response.status_code == 200:
        assert response.json()["urls"][0]["ids"] == []


def ascii_json(text):
    import json

    return json.dumps(text)


def test_a_picture_of_the_collection_is_contained(client, collections):
    data = collections[0].picture(20).read_bytes()
    answer = ask(client, image=base64.b64encode(data).decode())
    assert answer["urls"] is None
    assert (answer["image"]["id"], answer["image"]["contained"]) == (20, True)
    assert answer["image"]["distance"] < 0.001


def test_another_picture_is_not(client):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    answer = ask(client, image=image)["image"]
    assert answer["contained"] is False
    assert answer["distance"] > 0.06
    assert ask(client, image=image, max_distance=2.0)["image"]["contained"] is True


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "urls"),
        ({"urls": ["a"], "image": "b"}, 422, "urls"),
        ({"urls": ["a"] * 1_001}, 422, "urls"),
        ({"urls": ["a" * 9_000]}, 422, "urls.0"),
        ({"urls": [5]}, 422, "urls.0"),
        ({"image": "!!!"}, 422, "image"),
        ({"image": "aaaa", "max_distance": -1}, 422, "max_distance"),
        ({"collection": "web", "image": "aaaa"}, 409, "image"),
        ({"urls": ["a"]}, 422, "urls"),
    ],
)
def test_wrong_questions_are_refused(client, body, status, field):
    response = client.post("/api/contains", json=body)
    assert response.status_code == status, response.text
    assert response.json()["error"]["field"] == field


def test_keywords_go_with_a_search(client):
    answer = ask(client, "/api/search", text="a car", keywords='"red" -night', k=10)
    captions = [hit["caption"].split() for hit in answer["hits"]]
    assert all("red" in words and "night" not in words for words in captions)


def test_folding_gives_k_hits_with_what_was_folded(client):
    answer = ask(client, "/api/search", text="a car", fold=0.2, k=20)
    hits = answer["hits"]
    assert len(hits) == 20
    folded = [row for hit in hits for row in hit["folded"]]
    assert folded
    assert not {hit["id"] for hit in hits} & set(folded)
    assert "folded" not in ask(client, "/api/search", text="a car")["hits"][0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"keywords": ""}, "keywords"),
        ({"keywords": "-x"}, "keywords"),
        ({"keywords": "a" * 1_001}, "keywords"),
        ({"keywords": " ".join("abcdefgh" * 9)}, "keywords"),
        ({"fold": -0.1}, "fold"),
        ({"fold": 0.6}, "fold"),
        ({"fold": "0.1"}, "fold"),
    ],
)
def test_wrong_keywords_and_folds_are_refused(client, body, field):
    response = client.post("/api/search", json={"like": 1, **body})
    assert response.status_code == 422
    assert response.json()["error"]["field"] == field
