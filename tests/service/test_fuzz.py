"""10,000 requests that mean no good: no 500, no traceback, no hang, and the service answers on."""

import json
import random
import socket
import time
from urllib.parse import urlsplit

import pytest

from served import is_ready, serving

REQUESTS = 10_000
SECONDS = 60  # for all of them
WAIT_SECONDS = 10  # for one
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
    "/api/search": ["collection", "text", "image", "image_url", "like", "vector", "unlike", "on", "k", "offset", "where", "exact", "terms", "safe", "vectors", "contains", "keywords", "fold", "x"],
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


def request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if not any(
        line.lower().startswith(("content-length", "transfer-encoding")) for line in headers
    ):
        lines.append(f"Content-Length: {len(body)}")
    return (
        "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8", "surrogatepass") + body
    )


def made_up(rng):
    """Return the bytes of a request, and whether its answer must be HTTP."""
    kind = rng.random()
    if kind < 0.55:  # JSON with odd values in known fields
        path = rng.choice(list(FIELDS))
        names = rng.sample(FIELDS[path], rng.randint(0, min(4, len(FIELDS[path]))))
        content = {name: rng.choice(ODD) for name in names}
        if path == "/api/search" and rng.random() < 0.5:
            content = {"like": rng.randrange(-3, 45), "where": rng.choice(PREDICATES)}
        return request("POST", path, json.dumps(content).encode(), [f"Content-Type: {TYPES[0]}"])
    if kind < 0.70:  # bodies that are none
        path = rng.choice(list(FIELDS))
        return request("POST", path, rng.choice(BODIES), [f"Content-Type: {rng.choice(TYPES)}"])
    if kind < 0.80:
        return request("GET", rng.choice(TRAVERSALS + PATHS))
    if kind < 0.88:
        method = rng.choice(
            ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X", "get"]
        )
        return request(method, rng.choice(PATHS))
    if kind < 0.94:
        value = rng.choice(
            ["a" * 5000, "\x7f", "é", "gzip", "-1", "1e9", "bytes=0-1", "*/*", "Bearer x"]
        )
        name = rng.choice(
            [
                "X-Request-ID",
                "Accept",
                "Range",
                "If-None-Match",
                "Authorization",
                "Origin",
                "Cookie",
                "Expect",
            ]
        )
        return request("GET", rng.choice(PATHS), headers=[f"{name}: {value}"])
    whole = bytearray(request("POST", "/api/search", b'{"like": 1}', [f"Content-Type: {TYPES[0]}"]))
    for _ in range(rng.randint(1, 8)):  # flipped bytes anywhere
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole)


def sent(port, data):
    """Send a request; return its answer's status, None where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS) as wire:
        try:
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := wire.recv(1 << 16):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            return None, b""
    if not answer.startswith(b"HTTP/1.1 "):
        return None, answer
    return int(answer[9:12]), answer


@pytest.mark.timeout(SECONDS * 4)
def test_whatever_is_sent_nothing_fails_and_nothing_hangs(scenes, web, tmp_path):
    rng = random.Random(8)
    log = tmp_path / "log"
    statuses = {}
    with serving(log, scenes, web, options=["--log-format", "json"]) as url:
        port = urlsplit(url).port
        end = time.monotonic() + SECONDS
        for number in range(REQUESTS):
            data = made_up(rng)
            status, answer = sent(port, data)
            statuses[status] = statuses.get(status, 0) + 1
            assert status is None or status < 500, (data[:500], answer[:500])
            assert b"Traceback" not in answer, data[:500]
            assert b"root:" not in answer, data[:500]  # of /etc/passwd
            if number % 500 == 0:
                assert time.monotonic() < end, f"{number} requests took longer than {SECONDS} s"
        assert is_ready(url)
    told = log.read_text()
    assert "Traceback" not in told
    assert '"level": "error"' not in told
    assert {200, 400, 404, 405, 422} <= statuses.keys(), statuses
