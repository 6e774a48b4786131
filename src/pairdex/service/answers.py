"""JSON responses, and the headers that protect whoever reads a response."""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.responses import Response

__all__ = ["HEADERS", "answer", "encoded"]

# Captions and pictures are untrusted. The page may load pictures from any site and everything else
# from this service only. It runs no inline scripts, connects to no other server, and cannot be framed.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' https: http: data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def answer(
    content: Any,  # noqa: ANN401 - JSON
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a response with `content` as JSON that is not cached."""
    response = Response(encoded(content), status, media_type="application/json", headers=headers)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def encoded(content: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return `content` as JSON; in ASCII if it has lone surrogates or integers above 64 bits."""
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
