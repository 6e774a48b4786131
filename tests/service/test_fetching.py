"""Fetching pictures: from the hosts that are named, on public addresses, small, quick, and nothing else."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from pairdex.errors import InvalidArgument
from pairdex.service.errors import ApiError
from pairdex.service.fetching import Fetcher, _is_public, resolve

PUBLIC = "93.184.216.34"
HOSTS = ("pictures.example", "*.cdn.example")


@contextmanager
def answering(*answers):
    """A server that sends one of the answers to each connection, and notes what it was asked."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            for answer in answers:
                try:
                    wire, _ = listening.accept()
                except OSError:
                    return
                with wire:
                    asked.append(wire.recv(65536))
                    try:
                        for piece in [answer] if isinstance(answer, bytes) else answer:
                            wire.sendall(piece)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], asked


def http(body=b"picture", status="200 OK", **headers):
    head = {"Content_Type": "image/png", "Content_Length": len(body), **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {v}" for name, v in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Network:
    """A resolver and a way to connect that lead every public address to a local port."""

    def __init__(self, port, addresses=None):
        self.port = port
        self.addresses = addresses or {}
        self.connected = []
        self.resolved = []

    def resolve(self, host, _port):
        self.resolved.append(host)
        found = self.addresses.get(host, [PUBLIC])
        return found.pop(0) if found and isinstance(found[0], list) else found

    def connect(self, address, port, seconds):
        self.connected.append((address, port))
        return socket.create_connection(("127.0.0.1", self.port), seconds)

    def fetcher(self, **options):
        return Fetcher(HOSTS, resolve=self.resolve, connect=self.connect, **options)


def test_a_picture_comes_from_the_address_that_was_checked():
    with answering(http()) as (port, asked):
        network = Network(port)
        assert network.fetcher().fetch("http://pictures.example/a/b.png?x=1#frag") == b"picture"
    assert network.connected == [(PUBLIC, 80)]
    assert asked[0].startswith(b"GET /a/b.png?x=1 HTTP/1.1\r\nHost: pictures.example\r\n")
    assert b"Accept-Encoding: identity" in asked[0]
    assert b"Cookie" not in asked[0]


def test_nothing_is_fetched_when_no_host_is_named():
    with pytest.raises(InvalidArgument, match="this service does not fetch URLs"):
        Fetcher(()).fetch("http://pictures.example/a.png")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://pictures.example/a", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("gopher://pictures.example", "only http and https"),
        ("//pictures.example/a", "only http and https"),
        ("/etc/passwd", "only http and https"),
        ("data:image/png;base64,AAAA", "only http and https"),
        ("http://evil.example/a", "is not allowed"),
        ("http://pictures.example.evil.example/a", "is not allowed"),
        ("http://evilpictures.example/a", "is not allowed"),
        ("http://cdn.example/a", "is not allowed"),
        ("http://evilcdn.example/a", "is not allowed"),
        ("http://127.0.0.1/a", "is not allowed"),
        ("http://[::1]/a", "is not allowed"),
        ("http://2130706433/a", "is not allowed"),
        ("http:///a", "is not allowed"),
        ("http://pictures.example:8080/a", "names a port or a user"),
        ("http://pictures.example:22/a", "names a port or a user"),
        ("https://pictures.example:80/a", "names a port or a user"),
        ("http://user@pictures.example/a", "names a port or a user"),
        ("http://pictures.example@evil.example/a", "names a port or a user"),
        ("http://pictures.example:99999/a", "it is not a URL"),
        ("http://[::1/a", "it is not a URL"),
        ("http://pictures.example/a b", "has characters that URLs"),
        ("http://pictures.example/a\r\nX: y", "has characters that URLs"),
        ("http://pictures.example/\x00", "has characters that URLs"),
        ("http://pictures.exämple/a", "has characters that URLs"),
        ("http://pictures.example/" + "a" * 5000, "it is too long"),
    ],
)
def test_an_address_that_is_not_allowed_is_refused_before_anything_is_asked(url, reason):
    network = Network(1)
    with pytest.raises(InvalidArgument, match=reason):
        network.fetcher().fetch(url)
    assert network.connected == network.resolved == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "192.0.2.1",
        "198.18.0.1", "240.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "2002:7f00:1::", "2001:0:1::",
        "64:ff9b::7f00:1", "2001:db8::1", "no address", "",
    ],
)  # fmt: skip
def test_a_host_with_an_address_that_is_not_public_is_refused(address):
    assert not _is_public(address)
    network = Network(1, {"pictures.example": [PUBLIC, address]})
    with pytest.raises(InvalidArgument, match="inside a private network"):
        network.fetcher().fetch("http://pictures.example/a")
    assert network.connected == []


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111"])
def test_addresses_of_the_internet_are_public(address):
    assert _is_public(address)


def test_a_name_that_leads_elsewhere_a_moment_later_gains_nothing():
    with answering(http()) as (port, _):
        network = Network(port, {"pictures.example": [[PUBLIC], ["127.0.0.1"]]})
        network.fetcher().fetch("http://pictures.example/a")
    assert network.resolved == ["pictures.example"]  # asked once
    assert network.connected == [(PUBLIC, 80)]


def test_a_redirect_to_a_named_host_is_followed():
    moved = http(b"", "302 Found", Location="http://a.cdn.example/b.png")
    with answering(moved, http(b"", "301 Moved", Location="/c.png"), http()) as (port, asked):
        network = Network(port)
        assert network.fetcher().fetch("http://pictures.example/a") == b"picture"
    assert [request.split(b"\r\n")[0] for request in asked] == [
        b"GET /a HTTP/1.1", b"GET /b.png HTTP/1.1", b"GET /c.png HTTP/1.1",
    ]  # fmt: skip
    assert network.resolved == ["pictures.example", "a.cdn.example", "a.cdn.example"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://evil.example/", "is not allowed"),
        ("http://169.254.169.254/latest/meta-data", "is not allowed"),
        ("file:///etc/passwd", "only http and https"),
        ("http://pictures.example:22/", "names a port"),
        ("//127.0.0.1/", "is not allowed"),
    ],
)
def test_a_redirect_elsewhere_is_refused(location, reason):
    moved = http(b"", "302 Found", Location=location)
    with answering(moved) as (port, _), pytest.raises(InvalidArgument, match=reason):
        Network(port).fetcher().fetch("http://pictures.example/a")


def test_a_redirect_to_a_named_host_inside_is_refused():
    moved = http(b"", "302 Found", Location="http://a.cdn.example/")
    with answering(moved) as (port, _):
        network = Network(port, {"a.cdn.example": ["10.0.0.1"]})
        with pytest.raises(InvalidArgument, match="inside a private network"):
            network.fetcher().fetch("http://pictures.example/a")
    assert network.connected == [(PUBLIC, 80)]


def test_redirects_in_a_circle_end():
    moved = http(b"", "302 Found", Location="/a")
    with answering(*[moved] * 10) as (port, asked):
        fetcher = Network(port).fetcher()
        with pytest.raises(ApiError, match="more than 3 redirects"):
            fetcher.fetch("http://pictures.example/a")
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(status="404 Not Found"), "with status 404"),
        (http(status="500 Oh"), "with status 500"),
        (http(Content_Type="text/html"), "not a picture"),
        (http(Content_Type="image/svg+xml"), "not a picture"),
        (http(Content_Encoding="gzip"), "compressed"),
        (http(b"x" * 2000), "more than 1,000 bytes"),
        (http(b"x" * 2000, Content_Length="10000000000"), "more than 1,000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + b"x" * 2000, "more than 1,000"),
        (b"no HTTP at all\r\n\r\n", "does not respond"),
        (b"", "does not respond"),
        (http(b"short", Content_Length="9"), None),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "does not respond"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", "does not respond"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: ima", "does not respond"),
    ],
)
def test_an_answer_without_a_whole_picture_is_an_error(answer, reason):
    with answering(answer) as (port, _):
        fetcher = Network(port).fetcher(max_bytes=1000)
        if reason is None:  # cut short: decoding tells
            assert fetcher.fetch("http://pictures.example/a") == b"short"
            return
        with pytest.raises(ApiError, match=reason) as raised:
            fetcher.fetch("http://pictures.example/a")
    assert (raised.value.status_code, raised.value.code) == (502, "not_fetched")


def dripping(first):
    yield first
    while True:
        time.sleep(0.02)
        yield b"x"


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"],
)
def test_a_server_that_drips_is_cut_off_by_the_whole_time(first):
    with answering(dripping(first)) as (port, _):
        started = time.monotonic()
        with pytest.raises(ApiError):
            Network(port).fetcher(seconds=0.3).fetch("http://pictures.example/a")
        assert time.monotonic() - started < 5


def test_a_host_that_is_not_known_is_told():
    def unknown(host, port):
        raise socket.gaierror("no such host")

    with pytest.raises(ApiError, match="its host is unknown"):
        Fetcher(HOSTS, resolve=unknown).fetch("http://pictures.example/a")


def test_an_https_server_must_prove_its_name():
    with answering(b"no TLS at all") as (port, _):
        network = Network(port)
        with pytest.raises(ApiError, match="does not respond"):
            network.fetcher().fetch("https://pictures.example/a")
    assert network.connected == [(PUBLIC, 443)]


def test_the_real_resolver_gives_addresses():
    assert "127.0.0.1" in resolve("localhost", 80) or "::1" in resolve("localhost", 80)
