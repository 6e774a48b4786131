"""Rate limit: a token bucket for each client address."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from pairdex.service.errors import error_response
from pairdex.service.limits import BURST_SECONDS, MAX_CLIENTS
from pairdex.service.reverse_proxy import route_path

__all__ = ["LimitRate"]

_IPV6_NETWORK_BITS = 64  # the network of one household; all its addresses count as one client
_LIMITED = ("/api/", "/knn-service", "/metadata")
_PICTURE = "/picture"  # a page of results requests many at once; the workers limit them


class LimitRate:
    """Refuses requests above a client's rate, and says when to retry.

    The client is the address of the connection. Behind a proxy that is the proxy, which should limit
    the rate instead.
    """

    def __init__(
        self, app: ASGIApp, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._rate = rate
        self._clock = clock
        self._room = max(1.0, rate * BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through if its client has a token left."""
        if scope["type"] == "http" and _is_limited(route_path(scope)):
            wait = self._take(_client(scope))
            if wait > 0:
                refusal = error_response(
                    429,
                    "too_many_requests",
                    f"your address sent more than {self._rate:g} requests per second; "
                    f"retry in {math.ceil(wait)} s",
                    headers={"Retry-After": str(math.ceil(wait))},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _take(self, client: str) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        now = self._clock()
        tokens, since = self._buckets.pop(client, (self._room, now))
        tokens = min(self._room, tokens + (now - since) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[client] = (tokens - 1 if wait == 0 else tokens, now)
        while len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


def _is_limited(path: str) -> bool:
    return path.startswith(_LIMITED) and not path.endswith(_PICTURE)


def _client(scope: Scope) -> str:
    host = str((scope.get("client") or ("",))[0])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False))
    return host
