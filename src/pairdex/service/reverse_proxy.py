"""What a reverse proxy in front of the service changes: the path prefix, the scheme, the client's address."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pairdex.errors import InvalidArgument

__all__ = ["DIRECT", "UNIX", "ReverseProxy", "TrustProxies", "UnderPrefix", "route_path"]

UNIX = "unix"
"""In `ReverseProxy.trusted`: whoever connects through the Unix socket."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
# The first segments of the service's own routes: behind such a prefix it is unclear whether it was cut.
_OWN = frozenset(
    {"api", "docs", "health", "indices-list", "knn-service", "metadata", "metrics", "openapi.json"}
    | {"page"}
)


@dataclass(frozen=True)
class ReverseProxy:
    """A reverse proxy in front of the service; without arguments there is none.

    Attributes
    ----------
    root_path
        The path under which the proxy publishes the service: `/pairdex`. The proxy may cut it or
        pass it on. Empty: the service has a host name for itself.
    trusted
        Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed;
        `unix` for the peers of a Unix socket.

    Raises
    ------
    InvalidArgument
        The path or an address is invalid.
    """

    root_path: str = ""
    trusted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.root_path:
            _check_prefix(self.root_path)
        for address in self.trusted:
            if address != UNIX:
                _network(address)


DIRECT = ReverseProxy()


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix under which the service is published."""
    path: str = scope["path"]
    root = str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


class UnderPrefix:
    """Accepts requests with the prefix and without it, and tells the application the prefix.

    Some proxies cut the prefix, others pass it on. Afterwards the path always has it, as ASGI wants.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through under the prefix; redirect the prefix itself to the page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root, path = self._root, scope["path"]
        if path == root:  # relative addresses of the page need the slash
            await Response(status_code=308, headers={"Location": f"{root}/"})(scope, receive, send)
            return
        whole = path if path.startswith(f"{root}/") else f"{root}{path}"
        await self._app({**scope, "path": whole, "root_path": root}, receive, send)


class TrustProxies:
    """Takes the client's address and the scheme from the headers of proxies that are trusted.

    X-Forwarded-For is read from the right: proxies append to it, and a client may have sent the rest.
    The client is the rightmost address that is not a trusted proxy.
    """

    # Not uvicorn's ProxyHeadersMiddleware: with a Unix socket it trusts nobody or, with "*", takes the
    # leftmost address, which the client chooses.

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusts_unix = UNIX in trusted
        self._networks = tuple(_network(address) for address in trusted if address != UNIX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, with what a trusted proxy says of it."""
        if scope["type"] == "http" and self._is_trusted(scope):
            headers = Headers(scope=scope)
            scope = {**scope, **self._client(headers, scope), **_scheme(headers)}
        await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        peer = scope.get("client")
        if not peer:
            return self._trusts_unix
        address = _address(peer[0])
        return address is not None and self._is_proxy(address)

    def _is_proxy(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

    def _client(self, headers: Headers, scope: Scope) -> Scope:
        found = scope.get("client")
        for entry in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            address = _address(entry.strip())
            if address is None:  # forged, or by a proxy that hides it
                break
            found = (str(address), 0)
            if not self._is_proxy(address):
                break
        return {"client": found}


def _scheme(headers: Headers) -> Scope:
    given = ",".join(headers.getlist("x-forwarded-proto")).split(",")[-1].strip().lower()
    return {"scheme": given} if given in ("http", "https") else {}


def _address(text: str) -> _Address | None:
    """Return the address in an entry of X-Forwarded-For, without its port; None if there is none."""
    bare = re.sub(r"^\[([^]]*)\](?::\d+)?$|^([^:]*):\d+$", r"\1\2", text)
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)  # of a socket for both families
    return address if mapped is None else ipaddress.IPv4Address(mapped)


def _network(address: str) -> _Network:
    try:
        return ipaddress.ip_network(address)
    except ValueError as error:
        raise InvalidArgument(
            f"the proxy {address!r:.80} is invalid; expected an address like 127.0.0.1, a network like "
            "10.0.0.0/8, or unix",
            field="trusted",
        ) from error


def _check_prefix(root_path: str) -> None:
    if not _PREFIX.fullmatch(root_path) or {".", ".."} & set(root_path.split("/")):
        raise InvalidArgument(
            f"the root path {root_path!r:.80} is invalid; expected one like /pairdex, without a slash "
            "at its end",
            field="root_path",
        )
    first = root_path.split("/")[1]
    if first in _OWN:
        raise InvalidArgument(
            f"the root path {root_path!r:.80} begins like the service's own /{first}; choose another, "
            "such as /pairdex",
            field="root_path",
        )
