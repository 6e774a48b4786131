"""The outermost middleware: request ids, counts, the log, and headers of every response."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pairdex.service.answers import HEADERS
from pairdex.service.errors import ERROR, REQUEST_ID, error_response
from pairdex.service.limits import MAX_IN_PROGRESS
from pairdex.service.metrics import Metrics
from pairdex.service.reverse_proxy import route_path

__all__ = ["LogRequests"]

_UNMATCHED = "unmatched"  # one name for all unknown paths, so that a scanner cannot fill the memory
_NOT_FOUND = 404
_NEVER_BUSY = frozenset({"/health", "/metrics"})  # they report how busy the service is
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # safe in a header and in a log
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_KEEP_NOTHING = (b"cache-control", b"no-cache")  # so that a new release shows its own page

_logger = logging.getLogger("pairdex.requests")


class LogRequests:
    """Logs and counts requests, and limits how many are in progress."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, max_in_progress: int = MAX_IN_PROGRESS
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._max_in_progress = max_in_progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through; if it gets no response, it counts as a 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope[REQUEST_ID] = request_id
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, request_id)
            await send(message)

        root_path = scope.get("root_path", "")  # mounted folders of the page change it
        started = time.perf_counter()
        metrics = self._metrics
        app = self._app
        if metrics.in_progress >= self._max_in_progress and route_path(scope) not in _NEVER_BUSY:
            app = error_response(
                503,
                "busy",
                f"{metrics.in_progress:,} requests are in progress; retry in a moment",
                headers={"Retry-After": "1"},
            )
        metrics.in_progress += 1
        try:
            await app(scope, receive, send_noted)
        finally:
            metrics.in_progress -= 1
            self._note({**scope, "root_path": root_path}, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_of(scope, status)
        self._metrics.count(route, scope["method"], status, seconds)
        code = scope.get(ERROR) or ("internal_error" if status >= 500 else None)
        if code is not None:
            self._metrics.error(code)
        if _logger.isEnabledFor(logging.INFO):
            facts = {
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1e3, 2),
                "client": (scope.get("client") or ("",))[0],
            }
            if code is not None:
                facts["error"] = code
            facts["request_id"] = scope[REQUEST_ID]
            _logger.info("%s %s %d in %.1f ms", *list(facts.values())[:4], extra={"facts": facts})


def _route_of(scope: Scope, status: int) -> str:
    """Return the path of the route that a request is for, also if a middleware answered it."""
    if "route" in scope:
        return str(scope["route"].path)
    matching = (each for each in scope["app"].routes if each.matches(scope)[0] is not Match.NONE)
    found = None if status == _NOT_FOUND else next(matching, None)
    return _UNMATCHED if found is None else found.path or "/"


def _request_id(scope: Scope) -> str:
    """Return the client's request id if it is valid, otherwise a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(8)


def _add_headers(message: Message, request_id: str) -> None:
    """Add the protective headers that a response does not set itself."""
    headers = list(message.get("headers", ()))
    there = {name.lower() for name, _ in headers}
    headers += [header for header in _HEADERS if header[0] not in there]
    if _KEEP_NOTHING[0] not in there:
        headers.append(_KEEP_NOTHING)
    headers.append((b"x-request-id", request_id.encode()))
    message["headers"] = headers
