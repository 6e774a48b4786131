"""The client calls every route of a service, and raises every refusal as an error."""

import inspect
import json

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

import pairdex
from coroutines import run_to_end
from pairdex.client import AsyncClient, Client, Contained, Hit, PictureFound
from pairdex.client.search_fields import SearchFields, TermFields
from pairdex.errors import InvalidArgument, ServiceFailed
from pairdex.service.app import make_app
from pairdex.service.request_models import SearchRequest, TermRequest


@pytest.fixture
def client(drawn):
    """A client of the drawn scenes, in this process."""
    with TestClient(make_app([pairdex.open(drawn)]), base_url="http://localhost") as http:
        yield pairdex.Client("http://localhost/", http=http)


def answering(status, content):
    """A client of a server that always gives the same answer."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    return Client("http://localhost", http=httpx.Client(transport=transport))


def test_a_search_gives_typed_hits(client):
    found = client.search(text="a red car", k=3)
    assert (found.exact, found.on, found.safe) == (True, "image", False)
    assert found.seconds > 0
    first = found.hits[0]
    assert isinstance(first, Hit)
    assert "car" in first.caption
    assert first.similarity == pytest.approx(1 - first.distance)
    assert {"width", "image_path"} <= first.columns.keys()
    assert (first.url, first.folded, first.vector) == (None, None, None)


def test_all_fields_of_a_search_are_passed_on(client, drawn):
    stored = pairdex.open(drawn).vectors("image")
    terms = [{"vector": stored[5].astype(np.float32)}, {"text": "red", "weight": -0.5}]
    found = client.search(terms=terms, k=2, fold=0.06, vectors=True, keywords="a", offset=1)
    assert len(found.hits) == 2
    assert found.hits[0].vector == stored[found.hits[0].id].astype(float).tolist()
    assert isinstance(found.hits[0].folded, list)


def test_a_picture_may_be_bytes_or_a_path(client, drawn):
    path = pairdex.open(drawn).picture(20)
    for image in (path, str(path), path.read_bytes()):
        assert client.search(image=image, k=1).hits[0].id == 20
        there = PictureFound(20, pytest.approx(0, abs=1e-3), contained=True)
        assert client.contains(image=image) == Contained(None, there)


def test_rows_and_pictures_are_read(client):
    rows = client.items([5, 3])
    assert [row["id"] for row in rows] == [5, 3]
    assert client.item(5) == rows[0]
    assert client.picture(5, size=64)[:2] == b"\xff\xd8"


def test_the_service_lists_its_collections(client):
    assert client.health()["status"] in ("ok", "warming")
    assert client.health()["version"] == pairdex.__version__
    (only,) = client.collections()
    assert only["rows"] == 300
    facets = client.facets(where="width > 0", safe=False, collection=only["name"])
    assert facets["rows"] == 300


def test_a_download_is_written_whole(client, tmp_path):
    size = client.download(tmp_path / "hits.jsonl", form="jsonl", text="cat", k=200)
    data = (tmp_path / "hits.jsonl").read_bytes()
    assert len(data) == size
    assert len([json.loads(line) for line in data.splitlines()]) == 200


def test_a_download_that_is_refused_leaves_the_older_file(client, tmp_path):
    (tmp_path / "x").write_text("older")
    with pytest.raises(ServiceFailed, match="names the unknown column nosuch") as caught:
        client.download(tmp_path / "x", form="csv", text="cat", where="nosuch = 1")
    assert (caught.value.status, caught.value.field) == (422, "where")
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "older"


@pytest.mark.parametrize(
    ("ask", "status", "reason", "field"),
    [
        (lambda c: c.search(text=""), 422, "invalid_argument", "text"),
        (lambda c: c.search(like=999), 422, "invalid_argument", "like"),
        (lambda c: c.search(text="a", nosuch=1), 422, "invalid_argument", "nosuch"),
        (lambda c: c.item(999), 404, "not_found", "id"),
        (lambda c: c.items([1, 999]), 404, "not_found", "ids"),
        (lambda c: c.facets(where="1=1; x"), 422, "invalid_predicate", "where"),
        (lambda c: c.contains(urls=["a"]), 422, "invalid_argument", "urls"),
        (lambda c: c.search(collection="none", like=1), 404, "not_found", "collection"),
    ],
)
def test_what_the_service_refuses_is_an_error_with_its_words(client, ask, status, reason, field):
    with pytest.raises(pairdex.PairdexError) as caught:
        ask(client)
    assert (caught.value.status, caught.value.reason, caught.value.field) == (status, reason, field)
    assert str(caught.value)


def test_urls_are_looked_up(make_parts, build, tmp_path):
    build(make_parts(3), tmp_path / "c")
    with TestClient(make_app([pairdex.open(tmp_path / "c")]), base_url="http://localhost") as http:
        client = Client("http://localhost", http=http)
        urls = ["https://example.org/0/2.jpg", "x"]
        assert client.contains(urls=urls) == Contained({urls[0]: [2], "x": []}, None)


def test_the_token_is_sent(drawn):
    app = make_app([pairdex.open(drawn)], token="s3cret")
    with TestClient(app, base_url="http://localhost") as http:
        assert Client("http://localhost", "s3cret", http=http).item(1)["id"] == 1
        with pytest.raises(ServiceFailed) as caught:
            Client("http://localhost", "wrong", http=http).item(1)
    assert caught.value.status == 401


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://x", "no url", "http://[::1"])
def test_an_unreachable_service_is_an_error(url):
    with Client(url) as client, pytest.raises(ServiceFailed, match="is pairdex serve running") as e:
        client.health()
    assert e.value.status == 0


@pytest.mark.parametrize(("status", "content"), [(200, b"<html>"), (500, b"oh"), (302, b"")])
def test_an_answer_of_another_program_is_an_error(status, content):
    with pytest.raises(ServiceFailed, match=f"answered {status} and not as pairdex does"):
        answering(status, content).health()


def awaiting(http):
    """An AsyncClient of an application that `http` calls in this process."""

    def forward(request):
        answer = http.request(
            request.method, str(request.url), content=request.content, headers=request.headers
        )
        return httpx.Response(answer.status_code, content=answer.content)

    return AsyncClient(
        "http://localhost", http=httpx.AsyncClient(transport=httpx.MockTransport(forward))
    )


def methods(cls):
    return {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_parameters():
    both = methods(Client), methods(AsyncClient)
    assert both[0].keys() == both[1].keys()
    for name, method in both[0].items():
        assert inspect.signature(method) == inspect.signature(both[1][name])
        assert inspect.iscoroutinefunction(inspect.unwrap(both[1][name]))


@pytest.mark.parametrize(
    ("fields", "model"), [(SearchFields, SearchRequest), (TermFields, TermRequest)]
)
def test_the_fields_of_the_clients_are_those_of_the_service(fields, model):
    own, served = fields.__annotations__.keys(), model.model_fields.keys()
    assert own == served, "client/search_fields.py and service/request_models.py differ"


def test_editors_see_every_field_of_a_search():
    for cls in (Client, AsyncClient):
        for method in (cls.search, cls.download):
            parameters = inspect.signature(method).parameters
            assert SearchFields.__annotations__.keys() <= parameters.keys()
            assert all(each.kind is not each.VAR_KEYWORD for each in parameters.values())


def test_both_clients_give_the_same_answers(client, tmp_path):
    there = awaiting(client._http)

    async def asked():
        async with there:
            found = await there.search("a red car", k=3, where="width > 0")
            size = await there.download(tmp_path / "a.csv", form="csv", text="a cat", k=4)
            return [
                found.hits,
                size,
                (await there.health())["version"],
                await there.collections(),
                await there.items([5, 3]),
                await there.item(5),
                await there.picture(5, size=64),
                await there.contains(image=await there.picture(5)),
                await there.facets(where="width > 0"),
            ]

    expected = [
        client.search("a red car", k=3, where="width > 0").hits,
        client.download(tmp_path / "b.csv", form="csv", text="a cat", k=4),
        pairdex.__version__,
        client.collections(),
        client.items([5, 3]),
        client.item(5),
        client.picture(5, size=64),
        client.contains(image=client.picture(5)),
        client.facets(where="width > 0"),
    ]
    assert run_to_end(asked()) == expected
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_both_clients_refuse_with_the_same_words(client, tmp_path):
    there = awaiting(client._http)

    async def refused():
        with pytest.raises(ServiceFailed) as caught:
            await there.search(like=999)
        with pytest.raises(ServiceFailed, match="unknown column nosuch"):
            await there.download(tmp_path / "x", form="csv", text="cat", where="nosuch = 1")
        with pytest.raises(InvalidArgument, match="ids"):
            await there.items(5)
        with pytest.raises(ServiceFailed, match="is pairdex serve running"):
            await AsyncClient("http://127.0.0.1:9").health()
        return caught.value

    error = run_to_end(refused())
    with pytest.raises(ServiceFailed) as caught:
        client.search(like=999)
    assert (str(error), error.field) == (str(caught.value), caught.value.field)
    assert list(tmp_path.iterdir()) == []


def test_terms_may_be_those_of_a_query(client):
    terms = [pairdex.Term("a car"), pairdex.Term("red", weight=-0.5)]
    plain = [{"text": "a car"}, {"text": "red", "weight": -0.5}]
    assert client.search(terms=terms).hits == client.search(terms=plain).hits


def test_an_answer_shows_in_a_notebook_without_pictures(client):
    found = client.search("a red car", k=3)
    page = found._repr_html_()
    assert all(hit.caption in page for hit in found.hits)
    assert "<img" not in page
