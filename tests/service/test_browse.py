"""Searches without a query over REST: keywords, filters, orders, pages, downloads and facets."""

import json

import pytest

import pairdex
from served import ATTACK_ID, SCENES


def search(client, **body):
    response = client.post("/api/search", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer):
    return [hit["id"] for hit in answer["hits"]]


def test_a_filter_and_an_order_answer_without_a_query(client):
    answer = search(client, where="width < 192 OR height < 192", sort="height", k=5)
    assert (answer["method"], answer["words"], answer["note"]) == ("browse", [], None)
    assert answer["exact"] is True
    assert answer["total"] == SCENES // 4
    assert [hit["height"] for hit in answer["hits"]] == [144] * 5
    assert {hit["distance"] for hit in answer["hits"]} == {None}
    assert {hit["similarity"] for hit in answer["hits"]} == {None}


def test_next_scrolls_to_the_end(client):
    seen, after = [], None
    while True:
        answer = search(client, sort="height", descending=True, k=60, **after or {})
        seen += ids(answer)
        if answer["next"] is None:
            break
        after = {"after": answer["next"]}
    assert seen == ids(search(client, sort="height", descending=True, k=1000))
    assert len(seen) == SCENES


def test_keywords_alone_answer_where_no_model_is_at_hand(client):
    answer = search(client, collection="web", keywords="row 7")
    assert (answer["method"], answer["words"]) == ("keywords", ["row", "7"])
    assert answer["hits"][0]["caption"] == "row 7 of the web"
    assert answer["hits"][0]["keyword_score"] > answer["hits"][1]["keyword_score"]
    assert answer["total"] == 49


def test_a_stored_column_named_similarity_keeps_its_name_of_hits(client):
    hit = search(client, collection="web", sort="similarity", k=1)["hits"][0]
    assert (hit["similarity"], hit["pair_similarity"]) == (None, 0.25)


def test_vectors_and_downloads_come_without_a_query(client, collections):
    answer = search(client, keywords="cat", vectors=True, k=2)
    dim = collections[0].dim
    assert [len(hit["vector"]) for hit in answer["hits"]] == [dim, dim]
    body = {"keywords": "cat", "k": 30, "format": "jsonl"}
    text = client.post("/api/download", json=body).text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["id"] for row in rows] == ids(search(client, keywords="cat", k=30))
    assert client.post("/api/download", json={**body, "format": "parquet"}).status_code == 200


def test_facets_count_the_rows_of_a_keyword_search(client):
    answer = client.post("/api/facets", json={"keywords": "cat", "where": "height = 144"}).json()
    assert answer["rows"] == search(client, keywords="cat", where="height = 144")["total"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"sort": "hieght"}, "sort", "did you mean height"),
        ({"collection": "web", "sort": "tags"}, "sort", "cannot be sorted by"),
        ({"sort": "x" * 2000}, "sort", "1000"),
        ({"sort": "height", "text": "cat"}, "sort", "without a query"),
        ({"text": "cat", "after": 5}, "after", "without a query"),
        ({"sort": "height", "after": 5, "offset": 5}, "after", "cannot be combined"),
        ({"sort": "height", "after": SCENES}, "after", "expected the `next`"),
        ({"descending": True, "where": "true"}, "descending", "needs sort"),
        ({"keywords": "cat", "unlike": "dog"}, "text", "takes exactly one of"),
        ({"where": "nosuch = 1"}, "where", "unknown column"),
        ({}, "text", "or keywords, where or sort alone"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_field(client, body, field, message):
    response = client.post("/api/search", json=body)
    error = response.json()["error"]
    assert response.status_code in (400, 422)
    assert (error["field"], message in error["message"]) == (field, True), error


def test_the_client_browses(client):
    http = pairdex.Client("http://localhost", http=client)
    page = http.search(where="height = 144", sort="id", descending=True, k=3)
    assert (page.method, page.total, page.exact) == ("browse", SCENES // 4, True)
    assert page.next == page.hits[-1].id
    assert page.hits[0].distance is None
    rest = http.search(where="height = 144", sort="id", descending=True, after=page.next, k=1)
    assert rest.hits[0].id < page.next
    said = http.search(keywords="cat", k=1)
    assert said.hits[0].keyword_score > 0
    assert http.facets(keywords="cat")["rows"] == said.total


def test_hostile_captions_come_as_they_are(client):
    answer = search(client, keywords="attacked script")
    assert ids(answer)[0] == ATTACK_ID
