"""What the service answers when it is asked wrongly: one shape, a 4xx, the field, no traceback."""

import base64
import io
import json
import zlib

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import pairdex
from pairdex.errors import DamagedFile
from pairdex.service.app import make_app

HEADERS = {"content-type": "application/json"}


def post(client, body, path="/api/search"):
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post(path, content=content, headers=HEADERS)


def complaint(response, status):
    """The error of a response, which has the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) - {"field"} == {"code", "message", "request_id"}
    assert "Traceback" not in response.text
    assert "\n" not in body["error"]["message"]
    return body["error"]


def bomb():
    """A PNG of 80 bytes that says it is 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    size = (60_000).to_bytes(4, "big") * 2
    head = chunk(b"IHDR", size + b"\x08\x02\x00\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def cut_jpeg():
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "JPEG")
    return file.getvalue()[:300]


def encoded(data):
    return base64.b64encode(data).decode()


WRONG = {
    "nothing asked": ({}, "text"),
    "two things asked": ({"text": "a", "like": 1}, "like"),
    "empty text": ({"text": ""}, "text"),
    "blank text": ({"text": " \t\n"}, "text"),
    "text of 50,000 characters": ({"text": "a" * 50_000}, "text"),
    "text that is a number": ({"text": 5}, "text"),
    "text with a lone surrogate": ('{"text": "\\ud800"}', "text"),
    "empty unlike": ({"text": "a", "unlike": " "}, "unlike"),
    "k of 0": ({"text": "a", "k": 0}, "k"),
    "k of -1": ({"text": "a", "k": -1}, "k"),
    "huge k": ({"text": "a", "k": 10**30}, "k"),
    "k that is true": ({"text": "a", "k": True}, "k"),
    "k that is NaN": ('{"text": "a", "k": NaN}', "k"),
    "k that is infinite": ('{"text": "a", "k": 1e999}', "k"),
    "k that is text": ({"text": "a", "k": "5"}, "k"),
    "offset below 0": ({"text": "a", "offset": -1}, "offset"),
    "offset beyond the depth": ({"text": "a", "offset": 10_000, "k": 1}, "offset"),
    "like out of range": ({"like": 200}, "like"),
    "negative like": ({"like": -1}, "like"),
    "like beyond int64": ({"like": 2**63}, "like"),
    "like of half a row": ({"like": 0.5}, "like"),
    "vector of another dimension": ({"vector": [1.0, 2.0]}, "vector"),
    "empty vector": ({"vector": []}, "vector"),
    "zero vector": ({"vector": [0.0] * 64}, "vector"),
    "vector with NaN": ('{"vector": [NaN, 1]}', "vector.0"),
    "vector with infinity": ('{"vector": [1, -Infinity]}', "vector.1"),
    "vector beyond float32": ({"vector": [1e39] * 64}, "vector.0"),
    "vector of texts": ({"vector": ["1"] * 64}, "vector.0"),
    "vector of whole bigints": ({"vector": [10**400] * 64}, "vector.0"),
    "on something else": ({"text": "a", "on": "sound"}, "on"),
    "empty where": ({"text": "a", "where": " "}, "where"),
    "where with an unknown column": ({"text": "a", "where": "nothing = 1"}, "where"),
    "where that is a number": ({"text": "a", "where": "width + 1"}, "where"),
    "where that is a statement": ({"text": "a", "where": "1=1; DROP TABLE collection"}, "where"),
    "where that reads a file": (
        {"text": "a", "where": "id IN (SELECT 1 FROM '/etc/passwd')"},
        "where",
    ),
    "where that reads text": ({"text": "a", "where": "read_text('/etc/passwd') IS NULL"}, "where"),
    "where with a lone surrogate": ('{"text": "a", "where": "\\udfff"}', "where"),
    "where with a NUL": ({"text": "a", "where": "id = 1 \0"}, "where"),
    "where that is long": ({"text": "a", "where": "id = 1 OR " * 5000 + "id = 1"}, "where"),
    "where that is deep": ({"text": "a", "where": "(" * 4000 + "id" + ")" * 4000}, "where"),
    "image that is no base64": ({"image": "!!!"}, "image"),
    "image that is not ASCII": ({"image": "ä"}, "image"),
    "empty image": ({"image": ""}, "image"),
    "image that is text": ({"image": encoded(b"hello")}, "image"),
    "image that is a bomb": ({"image": encoded(bomb())}, "image"),
    "image that is cut off": ({"image": encoded(cut_jpeg())}, "image"),
    "image_url": ({"image_url": "http://169.254.169.254/"}, "image_url"),
    "image_url beside a text": ({"text": "a", "image_url": "file:///etc/passwd"}, "image_url"),
    "an unknown field": ({"text": "a", "limit": 5}, "limit"),
    "no object": ([1, 2], None),
    "null": ("null", None),
}


@pytest.mark.parametrize(("body", "field"), WRONG.values(), ids=WRONG)
def test_a_wrong_search_is_refused_and_names_the_field(client, body, field):
    error = complaint(post(client, body), 422)
    assert error.get("field") == field
    assert error["message"][0].islower() or not error["message"][0].isalpha()


def test_a_page_beyond_the_depth_is_refused_with_its_end(client):
    error = complaint(post(client, {"text": "a", "offset": 10_000, "k": 7}), 422)
    assert error["message"].startswith("offset + k is 10,007, expected at most 10,000")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"text": "\xff"}', b"[" * 100_000, b'{"k": ' + b"9" * 5000 + b"}"],
    ids=["empty", "cut", "not UTF-8", "a text not UTF-8", "deep", "many digits"],
)
def test_a_body_that_is_no_json_is_refused(client, body):
    response = post(client, body)
    assert response.status_code in (400, 422)
    complaint(response, response.status_code)


def test_a_body_of_another_type_is_refused(client):
    response = client.post("/api/search", data={"text": "a"})
    complaint(response, 422)


def test_where_errors_stand_in_the_filters_words(client):
    error = complaint(post(client, {"text": "a", "where": "widht > 5"}), 422)
    assert error["code"] == "invalid_predicate"
    assert "did you mean width" in error["message"]


def test_text_needs_the_model(client):
    error = complaint(post(client, {"collection": "web", "text": "a"}), 409)
    assert (error["code"], error["field"]) == ("model_missing", "text")


def test_messages_do_not_tell_where_a_collection_lies(client, web):
    for body in (
        {"collection": "web", "like": 0, "on": "text"},
        {"collection": "web", "text": "a"},
    ):
        message = post(client, body).json()["error"]["message"]
        assert str(web) not in message
        assert "web" in message


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/items/200", "id"),
        ("/api/items/-1", "id"),
        (f"/api/items/{10**30}", "id"),
        ("/api/items/200/picture", "id"),
        ("/api/items/5?collection=none", "collection"),
        ("/api/nothing", None),
        ("/page/nothing.js", None),
        ("/page/../routes.py", None),
        ("/page/%2e%2e/routes.py", None),
        ("/page/..%2f..%2fapp.py", None),
        ("/api/items/..%2f..%2fetc%2fpasswd/picture", None),
    ],
)
def test_what_is_not_there_is_a_404(client, path, field):
    assert complaint(client.get(path), 404).get("field") == field


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/items/x", "id"),
        ("/api/items/1.5", "id"),
        ("/api/items/1/picture?size=0", "size"),
        ("/api/items/1/picture?size=99999", "size"),
        ("/api/items/1/picture?size=x", "size"),
    ],
)
def test_a_wrong_address_is_refused(client, path, field):
    assert complaint(client.get(path), 422)["field"] == field


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"ids": [0, 200]}, 404, "ids"),
        ({"ids": [-1]}, 422, "ids.0"),
        ({"ids": ["1"]}, 422, "ids.0"),
        ({"ids": [0] * 1001}, 422, "ids"),
        ({}, 422, "ids"),
        ({"ids": [1], "collection": "none"}, 404, "collection"),
    ],
)
def test_wrong_items_are_refused(client, body, status, field):
    assert complaint(post(client, body, "/api/items"), status)["field"] == field


def test_another_method_is_refused(client):
    response = client.delete("/api/items/5")
    assert complaint(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"] == "GET"


def test_a_bug_is_a_500_in_the_same_shape(client, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(pairdex.Collection, "nearest", broken)
    response = post(client, {"text": "a"})
    assert complaint(response, 500)["code"] == "internal_error"
    assert "secret" not in response.text
    assert "content-security-policy" in response.headers


def test_a_damaged_collection_is_a_503_that_says_so(client, monkeypatch, scenes):
    def damaged(*_args, **_kwargs):
        raise DamagedFile(f"{scenes}/image/00000.npy is damaged")

    monkeypatch.setattr(pairdex.Collection, "nearest", damaged)
    error = complaint(post(client, {"text": "a"}), 503)
    assert error.pop("request_id")
    assert error == {"code": "damaged_file", "message": "scenes/image/00000.npy is damaged"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = [
    "collection",
    "text",
    "image",
    "like",
    "vector",
    "unlike",
    "on",
    "k",
    "offset",
    "where",
    "exact",
]


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY_JSON))
    | st.fixed_dictionaries(
        {"text": st.text(max_size=20)},
        optional={
            "where": st.text(max_size=20),
            "unlike": st.text(max_size=20),
            "k": st.integers(-5, 1005),
            "offset": st.integers(-5, 10_005),
        },
    )
)
def test_no_search_whatever_makes_the_service_fail(client, body):
    response = post(client, body)
    assert response.status_code < 500
    if response.status_code != 200:
        complaint(response, response.status_code)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF"]),
    data=st.binary(max_size=200),
)
def test_no_picture_whatever_makes_the_service_fail(client, head, data):
    complaint(post(client, {"image": encoded(head + data)}), 422)


def test_a_service_of_nothing_is_refused():
    with pytest.raises(pairdex.PairdexError, match="nothing to serve"):
        make_app([])


def test_an_empty_token_is_refused(collections):
    with pytest.raises(pairdex.PairdexError, match="token is empty"):
        make_app(collections, token=" ")


def test_errors_are_json_for_clients_that_ask_for_nothing(collections):
    client = TestClient(make_app(collections), base_url="http://localhost")
    complaint(client.get("/nothing", headers={"accept": ""}), 404)


def test_a_browser_gets_an_error_page_and_a_program_gets_json(client):
    page = client.get("/a/%2F<b>", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert 'href="../page/style.css"' in page.text
    assert "<b>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/a/b").json()["error"]["code"] == "not_found"
    asked = client.post("/api/search", json={}, headers={"Accept": "text/html"})
    assert asked.json()["error"]["code"] == "invalid_argument"
