"""Checks of every request before it reaches a route: host, token, size of the body."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pairdex.service.errors import ApiError, error_response
from pairdex.service.limits import BODY_SECONDS, MAX_BODY_BYTES
from pairdex.service.reverse_proxy import route_path

__all__ = ["CheckHost", "CheckToken", "LimitBody", "is_open"]

# Readable without the token: the page that asks for it, and whether the service is up.
_OPEN_PATHS = frozenset({"/", "/docs", "/openapi.json", "/health"})
_OPEN_FOLDER = "/page/"
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::\d{1,5})?")


class CheckHost:
    """Refuses requests for other hosts, through which a page of another site could read a local service.

    The name of another site can be made to resolve to 127.0.0.1 (DNS rebinding). Its requests then
    carry that name in their Host header.
    """

    # Not Starlette's TrustedHostMiddleware: it reads the first of several Host headers (a proxy may
    # have read the last), answers 400 as plain text, redirects to www., and cut "[::1]" at its first
    # colon until recently.

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through if it names one host, and that is one of `hosts`, or those are None."""
        if not _is_http(scope):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist("host")
        if len(given) > 1:
            refusal = error_response(
                400, "bad_request", f"the request has {len(given)} Host headers, expected one"
            )
            await refusal(scope, receive, send)
            return
        host = _without_port(given[0]) if given else ""
        if self._hosts is not None and host not in self._hosts:
            refusal = error_response(
                421, "wrong_host", f"this service is not {host[:80]!r}; use one of its own names"
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class CheckToken:
    """Refuses requests without the bearer token, except for the files of the page."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through if it has the token or does not need it."""
        if (
            not _is_http(scope)
            or is_open(route_path(scope))
            or self._is_known(Headers(scope=scope))
        ):
            await self._app(scope, receive, send)
            return
        refusal = error_response(
            401,
            "unauthorized",
            "this service requires a token; send it as Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip().encode("latin-1")  # as the header was decoded
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self._token)


class LimitBody:
    """Refuses bodies that are too large or too slow, with or without a Content-Length."""

    def __init__(
        self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through; reading its body stops at the limit."""
        if not _is_http(scope):
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        if not stated.isdecimal() or int(stated[:20]) > self._max_bytes:
            refusal = error_response(413, "body_too_large", self._too_large())
            await refusal(scope, receive, send)
            return
        await self._app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        read_bytes = 0
        is_complete = False
        deadline: float | None = None

        async def limited() -> Message:
            nonlocal read_bytes, is_complete, deadline
            if is_complete:  # after the body comes only the disconnect
                return await receive()
            now = asyncio.get_running_loop().time()
            deadline = now + self._seconds if deadline is None else deadline
            try:
                message = await asyncio.wait_for(receive(), deadline - now)
            except asyncio.TimeoutError as error:
                slow = f"the body took longer than {self._seconds:g} seconds"
                raise ApiError(
                    408, "body_too_slow", slow, headers={"Connection": "close"}
                ) from error
            read_bytes += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if read_bytes > self._max_bytes:
                raise ApiError(413, "body_too_large", self._too_large())
            return message

        return limited

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_bytes:,} bytes"


def _is_http(scope: Scope) -> bool:
    return bool(scope["type"] == "http")


def is_open(path: str) -> bool:
    """Whether a path does not need the token."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER)


def _without_port(host: str) -> str:
    """Return `localhost` of `localhost:8420`, `[::1]` of `[::1]:8420`; what is neither as it is."""
    found = _HOST.fullmatch(host)
    return (found["name"] if found else host).lower()
