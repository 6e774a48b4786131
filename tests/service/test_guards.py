"""What requests pass before a route: size and time of the body, host, token, protecting headers."""

import asyncio
import json

import pytest
from fastapi.testclient import TestClient

from coroutines import run_to_end
from pairdex.service.app import make_app
from pairdex.service.guards import LimitBody
from pairdex.service.limits import MAX_BODY_BYTES
from pairdex.service.policy import Policy
from pairdex.service.request_log import LogRequests

TOKEN = "correct horse"
JSON = {"content-type": "application/json"}


def client_of(collections, *, base_url="http://localhost", **options):
    return TestClient(
        make_app(collections, **options), base_url=base_url, raise_server_exceptions=False
    )


def code(response):
    return response.status_code, response.json()["error"]["code"]


def test_a_body_that_says_it_is_too_large_is_refused_unread(client):
    content = b" " * (MAX_BODY_BYTES + 1)
    response = client.post("/api/search", content=content, headers=JSON)
    assert code(response) == (413, "body_too_large")


def test_a_body_in_chunks_is_refused_at_the_limit(client):
    sent = []

    def chunks():
        for _ in range(40):
            sent.append(1)
            yield b" " * 2**20

    response = client.post("/api/search", content=chunks(), headers=JSON)
    assert code(response) == (413, "body_too_large")


def test_a_body_of_just_the_limit_is_read(client):
    body = json.dumps({"like": 1}).encode()
    response = client.post("/api/search", content=body.ljust(MAX_BODY_BYTES), headers=JSON)
    assert response.status_code == 200


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30])
def test_a_length_that_is_no_length_is_refused(client, length):
    headers = {**JSON, "content-length": length}
    assert client.post("/api/search", content=b"{}", headers=headers).status_code == 413


def run_asgi(app, receive):
    """Send one POST into an ASGI application, return the messages of its answer."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/search",
        "raw_path": b"/api/search",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
    }
    run_to_end(app(scope, receive, send))
    return sent


def test_a_body_that_never_comes_is_refused(app):
    async def never():
        await asyncio.Event().wait()

    sent = run_asgi(LimitBody(app, seconds=0.01), never)
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"]["code"] == "body_too_slow"


def test_a_body_that_drips_is_refused_by_its_whole_time(app):
    async def drip():
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b" ", "more_body": True}

    assert run_asgi(LimitBody(app, seconds=0.1), drip)[0]["status"] == 408


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8420", "LOCALHOST", "127.0.0.1:8420", "[::1]", "[::1]:8420"],
)
def test_the_machines_own_names_are_answered(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example:8420",
        "127.0.0.1.evil.example",
        "",
        "[::2]",
        "10.0.0.1",
        "[::1].evil.example",
        "[::1]evil",
        "localhost:evil.example",
        "localhost:80:80",
        "[::1",
        "localhost, evil.example",
    ],
)
def test_other_names_are_refused_against_dns_rebinding(client, host):
    for path in ("/", "/health", "/api/collections"):
        assert code(client.get(path, headers={"host": host})) == (421, "wrong_host")


@pytest.mark.parametrize("second", ["localhost", "evil.example"])
@pytest.mark.parametrize("hosts", [["localhost"], None])
def test_two_host_headers_are_refused(collections, hosts, second):
    client = client_of(collections, hosts=hosts)
    headers = [("host", "localhost"), ("host", second)]
    for path in ("/", "/health", "/api/collections"):
        assert code(client.get(path, headers=headers)) == (400, "bad_request")


def test_hosts_can_be_chosen_or_all_be_answered(collections):
    chosen = client_of(collections, hosts=["Gallery.example"], base_url="http://gallery.example")
    assert chosen.get("/docs").status_code == 200
    assert chosen.get("/docs", headers={"host": "localhost"}).status_code == 421
    everything = client_of(collections, hosts=None, base_url="http://anything.example")
    assert everything.get("/docs").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/health", "/page/app.js"])
def test_the_page_needs_no_token(collections, path):
    expected = 503 if path == "/health" else 200  # warming, but it says so
    assert client_of(collections, token=TOKEN).get(path).status_code == expected


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"],
)
def test_data_needs_the_token(collections, header):
    client = client_of(collections, token=TOKEN)
    headers = {} if header is None else {"authorization": header}
    for path in ("/api/collections", "/api/items/0/picture", "/metrics", "/nothing", "/page"):
        response = client.get(path, headers=headers)
        assert code(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", [TOKEN, "schlüssel"])
def test_the_token_opens(collections, token):
    headers = {"authorization": b"bearer " + token.encode()}
    client = client_of(collections, token=token)
    assert client.get("/api/collections", headers=headers).status_code == 200


def test_openapi_names_the_token_where_there_is_one(collections, client):
    description = client_of(collections, token=TOKEN).get("/openapi.json").json()
    assert description["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


@pytest.mark.parametrize(
    "path",
    ["/", "/page/app.js", "/api/collections", "/nothing", "/api/items/0/picture", "/api/items/x"],
)
def test_every_answer_protects_its_reader(client, path):
    headers = client.get(path).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' https: http: data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_refusals_are_protected_too(collections):
    client = client_of(collections, token=TOKEN)
    for headers in ({}, {"host": "evil.example"}):
        assert "content-security-policy" in client.get("/api/collections", headers=headers).headers


def test_answers_with_data_are_not_cached(client):
    assert client.get("/api/items/5").headers["cache-control"] == "no-store"
    assert client.get("/api/items/5/picture").headers["cache-control"] == "private, no-cache"


def test_a_sane_request_id_is_kept_and_any_other_replaced(client):
    for given in ("my-request.17_A", "x" * 64):
        response = client.get("/nothing", headers={"x-request-id": given})
        assert response.headers["x-request-id"] == given
        assert response.json()["error"]["request_id"] == given
    made = set()
    for given in ("", "a b", "x" * 65, "a\tb", "<script>"):
        response = client.get("/nothing", headers={"x-request-id": given})
        request_id = response.headers["x-request-id"]
        assert len(request_id) == 16
        assert response.json()["error"]["request_id"] == request_id
        made.add(request_id)
    assert len(made) == 5


def test_a_bug_has_a_request_id_too(client, monkeypatch):
    monkeypatch.setattr("pairdex.service.routes.query_of", lambda *_: 1 / 0)
    response = client.post("/api/search", json={"like": 1}, headers={"x-request-id": "bug-1"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "bug-1"
    assert response.json()["error"]["request_id"] == "bug-1"


def test_more_requests_than_can_be_answered_are_told_to_come_again(app):
    async def stuck(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        watched = LogRequests(stuck, app.state.metrics, max_in_progress=2)
        waiting = [
            asyncio.ensure_future(watched(scope_of("/api/search"), None, None)) for _ in "ab"
        ]
        await asyncio.sleep(0)
        sent = []

        async def send(message):
            sent.append(message)

        await watched(scope_of("/api/search"), None, send)
        for task in waiting:
            task.cancel()
        return sent

    def scope_of(path):
        asked = {"type": "http", "method": "POST", "path": path, "headers": [], "client": None}
        return asked | {"app": app}

    start, body = run_to_end(main())
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "busy"
    assert app.state.metrics.in_progress == 0
    assert 'pairdex_errors_total{code="busy"} 1' in app.state.metrics.text()


ORIGIN = "https://gallery.example"


def test_no_other_site_reads_answers_by_default(client):
    response = client.get("/api/collections", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in response.headers
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in client.options("/api/search", headers=asked).headers


def test_the_sites_that_are_named_read_answers_and_no_others(collections):
    client = client_of(collections, token=TOKEN, policy=Policy(cors=(ORIGIN,)))
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    before = client.options("/api/search", headers=asked)  # it carries no token
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == ORIGIN
    bearer = {"authorization": f"Bearer {TOKEN}"}
    answer = client.get("/api/items/1", headers={"origin": ORIGIN, **bearer})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    assert client.get("/api/items/1", headers={"origin": ORIGIN}).status_code == 401
    for other in ("https://evil.example", "https://gallery.example.evil.example", "null"):
        answer = client.get("/api/items/1", headers={"origin": other, **bearer})
        assert "access-control-allow-origin" not in answer.headers
