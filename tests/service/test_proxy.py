"""Pictures of the web through the service: only where it was switched on, only pictures, only small ones."""

import json
from io import BytesIO

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from pairdex.errors import InvalidArgument
from pairdex.service.app import make_app
from pairdex.service.errors import ApiError
from pairdex.service.policy import Policy


def png(side=300, mode="RGB"):
    file = BytesIO()
    Image.new(mode, (side, side // 2), "red").save(file, "PNG", comment="secret")
    return file.getvalue()


class StubFetcher:
    """Gives what a test says, and notes what was asked for."""

    hosts = ("pictures.invalid",)

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def fetch(self, url, _field="image_url"):
        self.asked.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def client_with(collections, answer):
    app = make_app(collections, policy=Policy(proxy_hosts=("pictures.invalid",)))
    app.state.fetcher = StubFetcher(answer)
    client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    client.fetcher = app.state.fetcher
    return client


def test_a_picture_at_a_rows_url_is_fetched_and_drawn_anew(collections):
    client = client_with(collections, png())
    response = client.get("/api/items/3/picture?collection=web&size=64")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "private, no-cache"
    assert Image.open(BytesIO(response.content)).size == (64, 32)
    assert b"secret" not in response.content
    assert client.fetcher.asked == ["http://pictures.invalid/3.jpg"]


def test_local_pictures_are_still_local(collections):
    client = client_with(collections, png())
    assert client.get("/api/items/3/picture?collection=scenes").status_code == 200
    assert client.fetcher.asked == []


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (b"<script>no picture</script>", 404, "the picture at the url of row 3 cannot be decoded"),
        (png()[:100], 404, "cannot be decoded"),
        (InvalidArgument("its url is not fetched: its host"), 404, "row 3: its url is not fetched"),
        (ApiError(502, "not_fetched", "the picture could not be fetched: slow"), 502, "slow"),
    ],
)
def test_what_cannot_be_shown_is_told(collections, answer, status, told):
    response = client_with(collections, answer).get("/api/items/3/picture?collection=web")
    assert response.status_code == status
    assert told in response.json()["error"]["message"]


def test_nothing_is_fetched_unless_it_is_switched_on(client):
    response = client.get("/api/items/3/picture?collection=web")
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "row 3 does not have a local picture"


def test_other_schemes_in_a_url_column_are_refused(collections):
    app = make_app(collections, policy=Policy(proxy_hosts=("pictures.invalid",)))
    client = TestClient(app, base_url="http://localhost")
    response = client.get("/api/items/0/picture?collection=web")  # its url is javascript:alert(1)
    assert response.status_code == 404
    assert "only http and https are allowed" in response.json()["error"]["message"]


def test_clip_clients_may_name_an_address_that_is_allowed(collections):
    picture = collections[0].picture(20).read_bytes()
    client = client_with(collections, picture)
    body = {"image_url": "http://pictures.invalid/x.png", "num_images": 1}
    assert client.post("/knn-service", content=json.dumps(body)).json()[0]["id"] == 20
    client.fetcher.answer = b"no picture"
    response = client.post("/knn-service", content=json.dumps(body))
    assert response.status_code == 422
    assert response.json()["error"]["field"] == "image_url"


def test_a_search_may_name_an_address_that_is_allowed(collections):
    client = client_with(collections, collections[0].picture(20).read_bytes())
    body = {"image_url": "http://pictures.invalid/x.png", "k": 1}
    assert client.post("/api/search", json=body).json()["hits"][0]["id"] == 20
    file = client.post("/api/download", json={**body, "format": "jsonl"})
    assert file.json()["id"] == 20
    client.fetcher.answer = b"no picture"
    refused = client.post("/api/search", json=body)
    assert refused.status_code == 422
    both = {"image_url": "http://pictures.invalid/x.png", "text": "a"}
    assert client.post("/api/search", json=both).status_code == 422
    assert len(client.fetcher.asked) == 3
