"""10,000 hostile requests: each is answered as it has to be, nothing fails or hangs, and the service goes on.

Each connection stays open for both directions until the service has answered: one that is half closed
is given up, and its answer would never be seen.
"""

import json
import random
import socket
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

import pairdex
from served import SCENES, is_ready, serving

REQUESTS = 10_000
WAIT_SECONDS = 10  # for one
BROKEN_SECONDS = 0.2  # for one whose end the service cannot know
LIKES = (-3, 0, 7, 41, SCENES - 1, SCENES, 10**30)
PATHS = [
    "/", "/docs", "/health", "/metrics", "/openapi.json", "/api/collections", "/api/search", "/api/items",
    "/api/items/5", "/api/items/5/picture", "/knn-service", "/metadata", "/indices-list", "/page/app.js",
    "/api/items/-1", "/api/items/99999999999999999999999", "/api/items/0x10", "/api/items/5/picture?size=0",
    "/api/items/5/picture?size=99999", "/api/items/%00", "/api/items/5?collection=%00", "/api/items/5?collection=../x",
]  # fmt: skip
TRAVERSALS = [
    "/page/../../etc/passwd", "/page/%2e%2e/%2e%2e/etc/passwd", "/page/..%2f..%2fetc/passwd",
    "/page/....//....//etc/passwd", "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/..\\..\\etc",
    "/page/app.js%00.png", "/page/%c0%ae%c0%ae/etc/passwd", "//etc/passwd", "/api/items/../../etc/passwd",
    "/page/", "/page", "/page/../app.py", "/%2e%2e/", "/page/./app.js", "/page/app.js/..", "/page/%ff",
]  # fmt: skip
PREDICATES = [
    "1=1; DROP TABLE collection", "1=1 UNION SELECT 1", "(SELECT 1)", "EXISTS(SELECT * FROM read_csv('/etc/passwd'))",
    "read_text('/etc/passwd') IS NOT NULL", "getenv('HOME') = 'x'", "1=1 -- ", "1=1 /*", "*/ 1=1", "'", '"', "\\", "((((",
    "width IN (SELECT width FROM collection)", "COPY collection TO '/tmp/x'", "PRAGMA database_list", "ATTACH '/tmp/x'",
    "INSTALL httpfs", "LOAD httpfs", "current_setting('home_directory') = ''", "random() < 0.5", "now() > '2000-01-01'",
    "repeat('x', 1000000000) = 'x'", "regexp_matches(caption, '(a+)+$')", "width = $1", "width = ?", "* = 1", "#1 = 1",
    "(" * 300 + "1=1" + ")" * 300, "NOT " * 1000 + "true", "width + " * 2000 + "1 > 0", "1", "NULL", "caption", "id > id",
    "width > 1e999", "'\u0000' = ''", "caption = '\ud800'", "list_transform([1], x -> x)[1] = 1", "sum(width) > 1",
    "row_number() OVER () = 1", "width BETWEEN 1 AND", "CAST(caption AS INTEGER) = 1", "1/0 = 1", "sqrt(-1) = 1",
]  # fmt: skip
ODD = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**40, 0.1, 1e308, -1e-320, "", " ", "a red car", "\u0000",
    "\ud800", "\u202e", "a" * 11_000, "<script>alert(1)</script>", "../../etc/passwd", "=cmd|' /C calc'!A0", [], [[]], {}, [0.0] * 64,
    [1.0] * 64, [1e39] * 64, ["a"], {"a": 1}, "AAAA", "image", "text", "pca96", "scenes", "web", "http://169.254.169.254/",
]  # fmt: skip
FIELDS = {
    "/api/search": ["collection", "text", "image", "image_url", "like", "vector", "unlike", "on", "k", "offset", "where", "exact", "explain", "terms", "safe", "vectors", "contains", "keywords", "fold", "x"],
    "/api/items": ["collection", "ids", "x"],
    "/knn-service": ["text", "image", "image_url", "embedding_input", "modality", "num_images", "num_result_ids",
                     "indice_name", "deduplicate", "use_safety_model", "use_mclip", "aesthetic_score", "aesthetic_weight"],
    "/metadata": ["ids", "indice_name"],
    "/api/download": ["collection", "text", "like", "vector", "terms", "ids", "k", "where", "safe", "on", "format", "columns", "contains"],
    "/api/contains": ["collection", "urls", "image", "max_distance", "x"],
    "/api/facets": ["collection", "where", "safe", "columns", "text", "contains"],
    "/api/atlas/places": ["collection", "ids", "text", "like", "k"],
}  # fmt: skip
BODIES = [
    b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"text": "a"', b"[" * 100_000, b'{"a":' * 50_000, b'{"like": 1e999}', b'{"like": NaN}',
    b'{"like": 1, "like": 2}', b'{"vector": [' + b"1," * 20_000 + b"1]}", b'{"ids": [' + b"0," * 5_000 + b"0]}", b"\x1f\x8b\x08\x00bomb",
    b'--x\r\nContent-Disposition: form-data; name="image"; filename="../../x"\r\n\r\nabc\r\n--x--\r\n', b"--x\r\n", b"a=1&b=2",
]  # fmt: skip
TYPES = [
    "application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded",
    "application/json; charset=utf-7", "application/xml", "", "x" * 200, "application/json, text/html",
]  # fmt: skip


NO_HTTP = b"Invalid HTTP request received."  # it reaches no route


@dataclass(frozen=True)
class Request:
    """The bytes of a request; what it asks for, and whether the service can know where it ends."""

    data: bytes
    method: str
    path: str
    body: bytes = b""
    is_whole: bool = True


def request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    data = "\r\n".join(lines).encode("utf-8", "surrogatepass") + body
    return Request(data, method, path, body)


def post(path, body, kind="application/json"):
    return request("POST", path, body, [f"Content-Type: {kind}"])


def search(rng):
    content = {"like": rng.choice(LIKES), "k": rng.choice((1, 10))}
    if rng.random() < 0.7:
        content["where"] = rng.choice(PREDICATES)
    return post("/api/search", json.dumps(content).encode())


def odd_fields(rng):
    path = rng.choice(list(FIELDS))
    names = rng.sample(FIELDS[path], rng.randint(0, min(4, len(FIELDS[path]))))
    return post(path, json.dumps({name: rng.choice(ODD) for name in names}).encode())


def odd_body(rng):
    return post(rng.choice(list(FIELDS)), rng.choice(BODIES), rng.choice(TYPES))


def odd_path(rng):
    return request("GET", rng.choice(TRAVERSALS + PATHS))


def odd_method(rng):
    methods = ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X", "get"]
    return request(rng.choice(methods), rng.choice(PATHS))


def odd_header(rng):
    values = ["a" * 5000, "\x7f", "é", "gzip", "-1", "1e9", "bytes=0-1", "*/*", "Bearer x"]
    names = [
        "X-Request-ID",
        "Accept",
        "Range",
        "If-None-Match",
        "Authorization",
        "Origin",
        "Cookie",
    ]
    return request("GET", rng.choice(PATHS), headers=[f"{rng.choice(names)}: {rng.choice(values)}"])


def flipped(rng):
    """A search with bytes flipped anywhere."""
    data = bytearray(post("/api/search", b'{"like": 1}').data)
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return Request(bytes(data), "", "", is_whole=False)


KINDS = {
    search: 30, odd_fields: 25, odd_body: 15, odd_path: 10, odd_method: 8, odd_header: 6, flipped: 6,
}  # fmt: skip


def answered(port, asked):
    """Return status, headers and body; a status of None if the connection was closed without them."""
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as wire:
        answer = b""
        try:
            wire.sendall(asked.data)
            if not asked.is_whole:
                wire.settimeout(BROKEN_SECONDS)
            while piece := received(wire, asked):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # a body was refused unread
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 "):
        return None, {}, answer
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def received(wire, asked):
    try:
        return wire.recv(1 << 16)
    except TimeoutError:
        assert not asked.is_whole, f"no answer within {WAIT_SECONDS} s"
        wire.shutdown(socket.SHUT_WR)  # it waits for more of the request
        wire.settimeout(WAIT_SECONDS)
        return wire.recv(1 << 16)


class Expected:
    """What the library finds, for the searches that the service is asked for."""

    def __init__(self, folder):
        self._collection = pairdex.open(folder)
        self._known = {}

    def __call__(self, like, where, k):
        """Return the ids that are to be found; None if the search is to be refused."""
        key = (like, where, k)
        if key not in self._known:
            try:
                found = self._collection.search(like=like, where=where, k=k)
                self._known[key] = found["id"].to_pylist()
            except (pairdex.PairdexError, OverflowError):
                self._known[key] = None
        return self._known[key]


def check(asked, status, headers, body, expected):
    """Check that an answer is the one that its request has to get."""
    where = (asked.data[:300], status, body[:300])
    assert b"Traceback" not in body, where
    assert b"root:" not in body, where  # of /etc/passwd
    if not asked.is_whole and status is None:
        return
    assert status is not None, where
    assert 200 <= status < 500, where
    if status == 400 and body == NO_HTTP:
        return
    assert headers["x-content-type-options"] == "nosniff", where
    if asked.method in ("PUT", "DELETE", "PATCH", "TRACE", "X", "get"):
        assert status in (400, 404, 405), where
    if status >= 400 and asked.method != "HEAD" and "application/json" in headers["content-type"]:
        error = json.loads(body)["error"]
        assert error["code"], where
        assert error["message"], where
    if status == 200 and asked.path in FIELDS:
        assert isinstance(
            json.loads(body.splitlines()[0] if "download" in asked.path else body), dict | list
        )
    if (
        asked.path == "/api/search"
        and asked.body.startswith(b'{"like": ')
        and b'"k": ' in asked.body
    ):
        check_search(json.loads(asked.body), status, body, expected, where)


def check_search(content, status, body, expected, where):
    if content.keys() - {"like", "where", "k"}:
        return
    ids = expected(content["like"], content.get("where"), content["k"])
    if ids is None:
        assert status == 422, where
    else:
        assert status == 200, where
        assert [hit["id"] for hit in json.loads(body)["hits"]] == ids, where


@pytest.mark.timeout(900)
def test_whatever_is_sent_is_answered_rightly_and_nothing_fails_or_hangs(scenes, web, tmp_path):
    rng = random.Random(8)
    log = tmp_path / "log"
    statuses, expected = Counter(), Expected(scenes)
    with serving(log, scenes, web, options=["--log-format", "json"]) as url:
        port = urlsplit(url).port
        for _ in range(REQUESTS):
            (kind,) = rng.choices(list(KINDS), KINDS.values())
            asked = kind(rng)
            status, headers, body = answered(port, asked)
            check(asked, status, headers, body, expected)
            statuses[kind.__name__, status] += 1
        assert is_ready(url)
    told = log.read_text()
    assert "Traceback" not in told
    assert '"level": "error"' not in told
    assert {200, 400, 404, 405, 422} <= {status for _, status in statuses}
    assert statuses["search", 200] > 500
    assert statuses["search", 422] > 500
    assert not [kind for kind, status in statuses if status is None and kind != "flipped"]
