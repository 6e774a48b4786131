"""The routes: what they answer when they are asked rightly."""

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import pairdex
from pairdex.search.finder import Finder
from pairdex.service.app import make_app
from pairdex.service.limits import DEFAULT_PICTURE_SIDE
from pairdex.version import __version__
from served import sample

SCENES = 200
ATTACK_ID, LOST_ID, BROKEN_ID, OUTSIDE_ID = 7, 9, 11, 13


def search(client, **body):
    response = client.post("/api/search", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer):
    return [hit["id"] for hit in answer["hits"]]


def test_health_says_the_version(client):
    assert client.get("/health").json() == {"status": "ok", "version": __version__}


def test_collections_say_what_can_be_searched_and_how(client):
    answer = client.get("/api/collections").json()
    scenes, web = answer["collections"]
    assert (scenes["name"], scenes["rows"], scenes["vectors"]) == (
        "scenes",
        SCENES,
        ["image", "text"],
    )
    assert {"name": "width", "type": "int32"} in scenes["columns"]
    assert scenes["model"]["dim"] == scenes["dim"]
    assert "24 drawn things; for photographs: --model ViT-B/32" in scenes["model"]["knows"]
    assert (scenes["captions"], web["captions"]) == (True, True)
    assert scenes["pictures"] is True
    assert (web["vectors"], web["queries"]) == (["image"], ["like", "vector"])
    assert (web["model"], web["pictures"]) == (None, False)
    assert answer["limits"]["k"] == 1000


def test_text_search_finds_what_the_text_says(client):
    answer = search(client, text="a red car", k=5)
    assert answer["exact"] is True
    assert answer["seconds"] > 0
    assert len(answer["hits"]) == 5
    first = answer["hits"][0]
    assert list(first)[:5] == ["id", "distance", "similarity", "url", "caption"]
    assert "car" in first["caption"]
    assert first["similarity"] == pytest.approx(1 - first["distance"])
    assert {"width", "height", "license", "image_path", "part", "row"} <= first.keys()


@pytest.mark.parametrize("on", ["image", "text"])
def test_search_says_what_was_searched_under_its_new_and_its_old_name(client, on):
    answer = search(client, text="cat", on=on)
    assert answer["on"] == on


@pytest.mark.parametrize("hybrid", [False, True])
def test_hits_come_best_first_and_pages_fit_together(client, hybrid):
    whole = search(client, text="cat", k=150, hybrid=hybrid)
    orders = [-hit["fused_score"] if hybrid else hit["distance"] for hit in whole["hits"]]
    assert orders == sorted(orders)
    pages = [
        search(client, text="cat", k=30, offset=n, hybrid=hybrid) for n in (0, 30, 60, 90, 120)
    ]
    assert [found for page in pages for found in ids(page)] == ids(whole)


def test_a_text_is_fused_with_captions_that_contain_its_words(client):
    answer = search(client, text="a photo of a cat", k=10)
    assert (answer["method"], answer["words"], answer["note"]) == ("hybrid", ["cat"], None)
    first = answer["hits"][0]
    assert "cat" in first["caption"]
    assert first["keyword_rank"] == 1
    assert first["fused_score"] == pytest.approx(1 / (60 + first["vector_rank"]) + 1 / 61)
    plain = search(client, text="a photo of a cat", k=10, hybrid=False)
    assert (plain["method"], plain["words"]) == ("vectors", [])
    assert "fused_score" not in plain["hits"][0]
    unknown = search(client, text="quokka", k=10)
    assert (unknown["method"], unknown["words"]) == ("vectors", [])


def test_only_a_text_alone_is_fused(client):
    for query in ({"like": 3}, {"text": "cat", "unlike": "night"}, {"terms": [{"text": "cat"}]}):
        assert search(client, **query)["method"] == "vectors"


def test_picture_search_finds_the_picture_itself(client, collections):
    picture = collections[0].picture(20)
    encoded = base64.encodebytes(picture.read_bytes()).decode()  # with line breaks
    answer = search(client, image=encoded, k=1)
    assert ids(answer) == [20]
    assert answer["hits"][0]["similarity"] == pytest.approx(1, abs=1e-3)


def test_like_finds_neighbours_without_the_row_itself(client):
    assert 20 not in ids(search(client, like=20, k=50))


def test_vector_search_takes_whole_numbers_and_any_length(client, collections):
    vector = (collections[1].vectors("image")[4].astype(float) * 100).round().astype(int).tolist()
    assert ids(search(client, collection="web", vector=vector, k=1)) == [4]


def test_k_above_the_collection_gives_every_row(client):
    assert len(search(client, like=0, k=1000)["hits"]) == SCENES - 1


def test_where_gives_k_rows_that_pass(client):
    answer = search(client, text="cat", k=20, where="height = 144 AND id < 120")
    assert len(answer["hits"]) == 20
    assert all(hit["height"] == 144 and hit["id"] < 120 for hit in answer["hits"])


def test_unlike_moves_away_from_a_text(client):
    plain = search(client, text="a cat at night", k=200)
    away = search(client, text="a cat at night", unlike="night", k=200)

    def at_night(answer):
        return [i for i, hit in enumerate(answer["hits"]) if "night" in hit["caption"]]

    assert np.mean(at_night(away)) > np.mean(at_night(plain))


def test_text_vectors_can_be_searched_instead(client):
    captions = [hit["caption"] for hit in search(client, text="a red car", on="text", k=3)["hits"]]
    assert any("car" in caption for caption in captions)


def test_a_collection_is_picked_in_the_body_or_in_the_address(client):
    by_body = search(client, collection="web", like=1)
    by_address = client.post("/api/search?collection=web", json={"like": 1}).json()
    assert by_body["hits"] == by_address["hits"]


@pytest.mark.parametrize("is_exact", [True, False])
@pytest.mark.parametrize("others", [{}, {"keywords": "car"}, {"fold": 0.1}])
def test_exact_and_fold_reach_the_library(client, monkeypatch, others, is_exact):
    """Without an index both searches are exact, so the answer alone would not show it."""
    kind, name = (Finder, "find") if others else (pairdex.Collection, "nearest")
    real, seen = getattr(kind, name), []

    def noted(self, *arguments, **options):
        seen.append(vars(arguments[1]) if others else options)
        return real(self, *arguments, **options)

    monkeypatch.setattr(kind, name, noted)
    search(client, text="a red car", exact=is_exact, **others)
    (options,) = seen
    assert options["exact"] is is_exact
    assert options.get("fold") == others.get("fold")


@pytest.mark.parametrize("others", [{}, {"fold": 0.1}])
@pytest.mark.parametrize("is_exact", [False, True])
def test_a_search_explains_which_way_it_took(client, others, is_exact):
    (choice,) = search(client, like=3, explain=True, exact=is_exact, **others)["explain"]
    why = "an exact search was asked for" if is_exact else "there is no usable index of image"
    assert choice["because"].startswith(why)
    assert (choice["kind"], choice["queries"]) == ("all", 1)
    assert [way["name"] for way in choice["ways"]] == ["ivf", choice["taken"]]
    assert choice["ways"][0]["why_not"] == choice["because"]
    assert "explain" not in search(client, like=3, **others)


def test_folded_hits_name_what_was_folded_into_them(client):
    hits = search(client, like=3, k=5, fold=0.3)["hits"]
    folded = [row_id for hit in hits for row_id in hit["folded"]]
    assert folded
    assert not {hit["id"] for hit in hits} & set(folded)


def test_values_of_every_type_become_json(client):
    rows = client.post("/api/items", json={"collection": "web", "ids": [0, 1]}).json()["items"]
    assert rows[0]["caption"] is None
    assert (rows[0]["score"], rows[1]["score"]) == (None, None)
    assert rows[0]["taken"].startswith("2023-11-14")
    assert rows[0]["hash"] == "/wA="
    assert rows[0]["tags"] == ["a", None]
    assert rows[0]["pair_similarity"] == 0.25


def test_items_come_in_the_order_asked_for(client):
    answer = client.post("/api/items", json={"ids": [5, 199, 0, 5]}).json()
    assert [item["id"] for item in answer["items"]] == [5, 199, 0, 5]
    assert client.post("/api/items", json={"ids": []}).json() == {"items": []}


def test_an_item_is_what_its_hit_says(client):
    hit = search(client, text="cat", k=1, hybrid=False)["hits"][0]
    item = client.get(f"/api/items/{hit['id']}").json()
    assert item == {name: hit[name] for name in hit if name not in ("distance", "similarity")}


def test_collections_of_one_name_are_told_apart(collections):
    client = TestClient(make_app([collections[0]] * 2), base_url="http://localhost")
    names = [each["name"] for each in client.get("/api/collections").json()["collections"]]
    assert names == ["scenes", "scenes-2"]


def opened(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def test_a_picture_is_served_by_id_and_made_smaller(client):
    response = client.get("/api/items/0/picture?size=64")
    assert response.headers["content-type"] == "image/jpeg"
    assert opened(response).size == (64, 48)


def test_a_picture_is_never_made_larger(client):
    assert opened(client.get("/api/items/1/picture")).size == (192, 192)
    assert DEFAULT_PICTURE_SIDE > 192


def test_a_transparent_picture_stays_transparent_and_loses_its_other_data(client, collections):
    path = collections[0].picture(2)
    before = path.read_bytes()
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    try:
        Image.new("RGBA", (30, 20), (255, 0, 0, 100)).save(path, exif=exif)
        response = client.get("/api/items/2/picture")
        assert response.headers["content-type"] == "image/webp"
        assert opened(response).mode == "RGBA"
        assert b"where I live" not in response.content
    finally:
        path.write_bytes(before)


def test_a_known_picture_is_not_sent_twice(client):
    tag = client.get("/api/items/3/picture").headers["etag"]
    again = client.get("/api/items/3/picture", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/api/items/3/picture?size=32", headers={"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("row", [LOST_ID, BROKEN_ID, OUTSIDE_ID])
def test_what_is_no_picture_of_the_collection_does_not_leave(client, row):
    response = client.get(f"/api/items/{row}/picture")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "no_picture"
    assert "/" not in response.json()["error"]["message"]


def test_a_collection_without_pictures_has_none(client):
    assert client.get("/api/items/1/picture?collection=web").status_code == 404


def test_metrics_count_requests_by_route(client):
    client.get("/health")
    client.get("/api/items/5")
    client.get("/api/items/6")
    client.get("/no/such/place")
    response = client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text, route = response.text, "/api/items/{id}"
    assert sample(text, "pairdex_requests_total", route=route, method="GET", status="200") == 2
    unmatched = {"route": "unmatched", "method": "GET", "status": "404"}
    assert sample(text, "pairdex_requests_total", **unmatched) == 1
    assert sample(text, "pairdex_request_seconds_bucket", route="/health", le="+Inf") == 1
    assert sample(text, "pairdex_rows", collection="scenes") == 200
    assert sample(text, "pairdex_available", collection="web") == 1
    assert sample(text, "pairdex_requests_in_progress") == 1
    assert sample(text, "pairdex_info", version=__version__) == 1
    assert sample(text, "process_resident_memory_bytes") > 10e6
    assert "_created" not in text


def test_requests_without_a_token_count_for_their_route(collections):
    guarded = TestClient(make_app(collections, token="open sesame"), base_url="http://localhost")
    assert guarded.post("/api/search", json={}).status_code == 401
    assert guarded.get("/api/items/5").status_code == 401
    assert guarded.get("/").status_code == 200
    assert guarded.get("/page/app.js").status_code == 200
    assert guarded.get("/page/none.js").status_code == 404
    assert guarded.get("/api/none").status_code in (401, 404)
    text = guarded.get("/metrics", headers={"Authorization": "Bearer open sesame"}).text
    for route, method, status in (
        ("/api/search", "POST", "401"),
        ("/api/items/{id}", "GET", "401"),
        ("/", "GET", "200"),
        ("/page", "GET", "200"),
        ("unmatched", "GET", "404"),
    ):
        counted = sample(text, "pairdex_requests_total", route=route, method=method, status=status)
        assert counted >= 1, route


def test_a_text_that_is_a_pictures_name_is_noted(client):
    answer = client.post("/api/search", json={"text": "pets/cat.jpg"}).json()
    assert "search by image" in answer["note"]
    assert client.post("/api/search", json={"text": "a cat"}).json()["note"] is None


def test_each_application_counts_for_itself(client, collections):
    client.get("/api/items/5")
    other = TestClient(make_app(collections), base_url="http://localhost")
    assert "pairdex_requests_total{" not in other.get("/metrics").text


def test_openapi_describes_every_route(client):
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) == {
        "/health",
        "/indices-list",
        "/knn-service",
        "/metadata",
        "/metrics",
        "/api/collections",
        "/api/atlas/column",
        "/api/search",
        "/api/contains",
        "/api/download",
        "/api/duplicates",
        "/api/duplicates/{id}",
        "/api/facets",
        "/api/items",
        "/api/items/{id}",
        "/api/items/{id}/picture",
        "/api/atlas",
        "/api/atlas/places",
    }
    answers = description["paths"]["/api/search"]["post"]["responses"]
    assert set(answers) == {"200", "4XX", "503"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/docs", "text/html"),
        ("/page/app.js", "javascript"),
        ("/page/style.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_is_served_and_asked_for_again_each_time(client, path, kind):
    response = client.get(path)
    assert response.status_code == 200
    assert kind in response.headers["content-type"]
    assert response.headers["cache-control"] == "no-cache"


def test_the_page_has_no_inline_scripts_or_styles_and_loads_from_nowhere_else(client):
    for path in ("/", "/docs"):
        html = client.get(path).text
        assert "<style" not in html
        assert "style=" not in html
        assert " on" + "click=" not in html
        assert "<script>" not in html
        assert "https://" not in html
