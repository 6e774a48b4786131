"""Error responses as a page, for people whose browser opened an address of the service."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import Scope

__all__ = ["error_page", "wants_page"]

_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title} · pairdex</title>
  <link rel="icon" href="{home}page/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="{home}page/style.css">
</head>
<body>
  <main class="notice">
    <h1>{title}</h1>
    <p>{message}</p>
    <p><a href="{home}">Search the collection</a> · <a href="{home}docs">REST interface</a></p>
    <p><small>{status} · {code}{request}</small></p>
  </main>
</body>
</html>
"""


def wants_page(scope: Scope) -> bool:
    """Whether a browser opens the address itself; scripts and pictures do not ask for HTML."""
    accepted = Headers(scope=scope).get("accept", "")
    return scope["method"] in {"GET", "HEAD"} and "text/html" in accepted


def error_page(
    scope: Scope, status: int, error: Mapping[str, Any], headers: Mapping[str, str] | None
) -> HTMLResponse:
    """Return an error as a page whose links are relative, so that they work behind a path prefix."""
    message = str(error["message"])
    page = _PAGE.format(
        title=escape(HTTPStatus(status).phrase),
        message=escape(message[:1].upper() + message[1:]),
        status=status,
        code=escape(str(error["code"])),
        request=f" · request {escape(error['request_id'])}" if "request_id" in error else "",
        home=_home(scope),
    )
    return HTMLResponse(page, status, {"Cache-Control": "no-store", **(headers or {})})


def _home(scope: Scope) -> str:
    """Return the relative address of the first page, such as `../` from `/a/b`."""
    path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
    below = path.partition("?")[0].removeprefix(scope.get("root_path", ""))
    return "../" * (below.count("/") - 1) or "./"
