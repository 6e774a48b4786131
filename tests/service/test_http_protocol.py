"""The head of a request: neither endless nor slow, whatever comes before and after."""

import socket
import threading
import time

import pytest
import uvicorn

from pairdex.service.http_protocol import LimitedHttpProtocol
from served import wait_until


class QuickWire(LimitedHttpProtocol):
    head_seconds = 0.3
    max_head_bytes = 10_000


async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port():
    config = uvicorn.Config(app, port=0, log_config=None, http=QuickWire, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def wire(port):
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        yield wire


def rest(wire):
    """All that comes until the other side closes."""
    content = b""
    try:
        while piece := wire.recv(65536):
            content += piece
    except ConnectionResetError:
        pass
    return content


def test_who_asks_nothing_is_not_waited_for(wire):
    assert rest(wire) == b""


def test_a_head_that_drips_is_cut_off(wire):
    def drip():
        for _ in range(1000):
            wire.sendall(b"a")
            time.sleep(0.01)

    wire.sendall(b"GET /")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        drip()


def test_a_head_without_end_is_refused(port, monkeypatch):
    monkeypatch.setattr(QuickWire, "head_seconds", 3600)
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000)
        assert rest(wire).startswith((b"HTTP/1.1 400", b""))  # or it is reset before that is read


def test_a_kept_connection_is_answered_again_and_its_heads_are_timed_again(wire):
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    for _ in range(3):
        wire.sendall(request)
        assert wire.recv(65536).endswith(b"abc")
    wire.sendall(b"GET / HT")
    assert rest(wire) == b""


def test_a_long_body_is_no_long_head(wire):
    body = b"x" * 100_000
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n"
    wire.sendall(head + body[:50_000])
    time.sleep(0.5)  # longer than a head may take
    wire.sendall(body[50_000:])
    assert rest(wire).endswith(body)
