"""Fetching pictures from untrusted URLs.

A server that fetches URLs for others can be misused to reach its own network (SSRF). Therefore: only
named hosts, only http and https on their default ports, and no private addresses. The connection goes
to the address that was checked, so that a name cannot resolve to another one afterwards. Each redirect
is checked in the same way. Size, type and time are limited.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from pairdex.errors import InvalidArgument
from pairdex.service.errors import ApiError
from pairdex.service.limits import (
    FETCH_SECONDS,
    MAX_FETCH_BYTES,
    MAX_FETCH_URL_CHARS,
    MAX_REDIRECTS,
)
from pairdex.version import __version__

__all__ = ["Fetcher", "resolve"]

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 1 << 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HEADERS = {
    "User-Agent": f"pairdex/{__version__}",
    "Accept": "image/*",
    "Accept-Encoding": "identity",  # a compressed response could be a decompression bomb
    "Connection": "close",
}

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[4][0]) for place in found]


def connect(address: str, port: int, seconds: float) -> socket.socket:
    """Return a connection to an IP address."""
    return socket.create_connection((address, port), seconds)


@dataclass(frozen=True)
class Fetcher:
    """Fetches pictures from named hosts.

    Attributes
    ----------
    hosts
        `images.example`, or `*.images.example` for all below it; empty: nothing is fetched.
    resolve, connect
        For tests.
    """

    hosts: tuple[str, ...]
    resolve: Resolve = resolve
    connect: Connect = connect
    seconds: float = FETCH_SECONDS
    max_bytes: int = MAX_FETCH_BYTES

    def fetch(self, url: str, field: str = "image_url") -> bytes:
        """Return the bytes of the picture at a URL.

        Raises
        ------
        InvalidArgument
            The URL, or one that it redirects to, is not allowed.
        ApiError
            502, the picture does not exist, is too large, or arrives too slowly.
        """
        deadline = time.monotonic() + self.seconds
        for _ in range(MAX_REDIRECTS + 1):
            parts = self._checked(url, field)
            answer = self._ask(parts, self._address(parts, field), deadline)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise _failed(f"more than {MAX_REDIRECTS} redirects")

    def _checked(self, url: str, field: str) -> SplitResult:
        """Return the parts of a URL whose scheme, host and port are allowed."""
        if not self.hosts:
            raise InvalidArgument(
                f"{field} is refused: this service does not fetch URLs; send the picture itself as "
                "image, in base64",
                field=field,
            )
        if (
            len(url) > MAX_FETCH_URL_CHARS
            or not (url.isascii() and url.isprintable())
            or " " in url
        ):
            raise _refused(field, "it is too long, or has characters that URLs do not have")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _refused(field, "it is not a URL") from error
        if parts.scheme not in _PORTS:
            raise _refused(field, "only http and https are allowed")
        if port not in (None, _PORTS[parts.scheme]) or "@" in parts.netloc:
            raise _refused(field, "it names a port or a user")
        if not _is_named(parts.hostname or "", self.hosts):
            raise _refused(field, "its host is not allowed")
        return parts

    def _address(self, parts: SplitResult, field: str) -> str:
        """Return the IP address to connect to; all addresses of the host must be public."""
        host = parts.hostname or ""
        try:
            addresses = self.resolve(host, _PORTS[parts.scheme])
        except (OSError, UnicodeError) as error:
            raise _failed("its host is unknown") from error
        if not addresses or not all(_is_public(address) for address in addresses):
            raise _refused(field, "its host is inside a private network")
        return addresses[0]

    def _ask(self, parts: SplitResult, address: str, deadline: float) -> bytes | str:
        """Return the picture's bytes, or the URL that the response redirects to."""
        connection = _Pinned(parts, address, self.connect, deadline)
        # Each read has its own time limit; this one stops a server that sends a byte at a time.
        stop = threading.Timer(max(0.0, deadline - time.monotonic()), connection.cut)
        stop.daemon = True
        stop.start()
        try:
            path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request(
                "GET", path if path.startswith("/") else f"/{path}", headers=_HEADERS
            )
            response = connection.getresponse()
            if response.status in _REDIRECTS:
                return response.getheader("Location") or ""
            with response:
                return self._read(response, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            slow = time.monotonic() >= deadline
            raise _failed("it is too slow" if slow else "its host does not respond") from error
        finally:
            stop.cancel()
            connection.close()

    def _read(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        kind = response.getheader("Content-Type", "").split(";")[0].strip().lower()
        if response.status != 200:
            raise _failed(f"its host responds with status {response.status}")
        if not kind.startswith("image/") or kind == "image/svg+xml":
            raise _failed("it is not a picture")
        if response.getheader("Content-Encoding", "identity").lower() != "identity":
            raise _failed("it is compressed")
        content = bytearray()
        while piece := response.read1(_CHUNK_BYTES):
            content += piece
            if len(content) > self.max_bytes:
                raise _failed(f"it has more than {self.max_bytes:,} bytes")
        if time.monotonic() >= deadline:  # cut off: the content is incomplete
            raise _failed("it is too slow")
        return bytes(content)


class _WholeLines(io.BufferedReader):
    """What a server sends; a line that the server cuts short is an error, not the last one.

    `http.client` takes headers that end in the middle as complete.
    """

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise http.client.HTTPException("the response ends inside of its headers")
        return line


class _Response(http.client.HTTPResponse):
    """A response whose headers are complete."""

    def begin(self) -> None:
        self.fp = _WholeLines(self.fp.detach())
        super().begin()


class _Pinned(http.client.HTTPConnection):
    """A connection to one IP address, whatever the host name of the request."""

    response_class = _Response

    def __init__(self, parts: SplitResult, address: str, connect: Connect, deadline: float) -> None:
        super().__init__(parts.hostname or "", _PORTS[parts.scheme])
        self._name = parts.hostname or ""
        self._is_secret = parts.scheme == "https"
        self._address = address
        self._connect = connect
        self._deadline = deadline
        self._wire: socket.socket | None = None  # `sock` is handed over to the response

    def connect(self) -> None:
        """Connect to the address that was checked; the certificate must match the host name."""
        seconds = max(0.001, self._deadline - time.monotonic())
        self._wire = self.sock = self._connect(self._address, self.port, seconds)
        if self._is_secret:
            context = ssl.create_default_context()
            self._wire = self.sock = context.wrap_socket(self.sock, server_hostname=self._name)

    def cut(self) -> None:
        """Stop reading."""
        if self._wire is not None:
            with suppress(OSError):  # it has ended already
                self._wire.shutdown(socket.SHUT_RDWR)


def _is_named(host: str, hosts: Sequence[str]) -> bool:
    return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in hosts)


def _is_public(text: str) -> bool:
    """Whether an address is public, and does not embed an IPv4 address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
    ):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _refused(field: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"{field} is not fetched: {reason}", field=field)


def _failed(reason: str) -> ApiError:
    return ApiError(502, "not_fetched", f"the picture could not be fetched: {reason}")
