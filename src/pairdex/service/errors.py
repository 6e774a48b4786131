"""Error responses: `{"error": {"code", "message", "field"?}}`, a page for browsers, never a traceback."""

from __future__ import annotations

import logging
import reprlib
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pairdex.errors import (
    ClusterFailed,
    CollectionBusy,
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    PairdexError,
)
from pairdex.service.answers import HEADERS, answer
from pairdex.service.error_pages import error_page, wants_page

__all__ = ["ERROR", "REQUEST_ID", "ApiError", "error_response", "install_handlers"]

# Keys in the scope of a request: its id, and the code of its error response.
REQUEST_ID = "pairdex.request_id"
ERROR = "pairdex.error"

_STATUS: dict[type[PairdexError], int] = {
    InvalidArgument: 422,
    Mismatch: 422,
    ClusterFailed: 503,  # a shard: until its actor is started again
    CollectionBusy: 503,
    DamagedFile: 503,  # of a collection: the service goes on when it is restored
    MissingFile: 503,
}  # 500 for all others
_logger = logging.getLogger("pairdex.service")


class ApiError(HTTPException):
    """An error response to a request: status, code, message and field."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.field = field


class _ErrorResponse(Response):
    """An error response with the id of its request; it is counted by its code."""

    def __init__(self, status: int, error: dict[str, Any], headers: dict[str, str] | None) -> None:
        super().__init__(status_code=status)
        self._error = error
        self._more = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ERROR] = self._error["code"]
        named = {"request_id": scope[REQUEST_ID]} if REQUEST_ID in scope else {}
        error = self._error | named
        if wants_page(scope):
            response: Response = error_page(scope, self.status_code, error, self._more)
        else:
            response = answer({"error": error}, status=self.status_code, headers=self._more)
        await response(scope, receive, send)


def error_response(
    status: int,
    code: str,
    message: str,
    field: str | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an error response."""
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return _ErrorResponse(status, error, headers)


def install_handlers(app: FastAPI) -> None:
    """Make `app` answer every error in the same form."""
    app.add_exception_handler(AnyHTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(PairdexError, _on_pairdex_error)
    app.add_exception_handler(OSError, _on_unreadable)
    app.add_exception_handler(ClientDisconnect, _on_gone)
    app.add_exception_handler(Exception, _on_bug)


async def _on_http_error(request: Request, raised: Exception) -> Response:
    error = cast("AnyHTTPException", raised)
    headers = dict(error.headers or {})
    if isinstance(error, ApiError):
        message = request.app.state.catalogue.without_places(error.detail)
        return error_response(error.status_code, error.code, message, error.field, headers=headers)
    status = HTTPStatus(error.status_code)
    message = {
        404: "this path does not exist; GET /docs lists the routes",
        405: f"this route does not support that method; it supports {headers.get('Allow', 'others')}",
    }.get(status, error.detail[:1].lower() + error.detail[1:])
    return error_response(status, status.name.lower(), message, headers=headers)


async def _on_invalid_request(_: Request, raised: Exception) -> Response:
    first = cast("RequestValidationError", raised).errors()[0]
    if first["type"] == "json_invalid":
        reason = str(first["ctx"]["error"]).lower()
        place = first["loc"][-1]
        return error_response(
            400, "invalid_json", f"the body is not valid JSON: {reason} at character {place}"
        )
    if first["type"] == "value_error":
        reason = first["ctx"]["error"]
        return error_response(
            422, InvalidArgument.code, str(reason), getattr(reason, "field", None)
        )
    field = ".".join(str(step) for step in first["loc"][1:]) or None
    return error_response(422, InvalidArgument.code, _complaint(first, field), field)


def _complaint(error: dict[str, Any], field: str | None) -> str:
    """Return what is wrong with a value: where, what was expected, what was received."""
    if field is None:
        return "the body is not a JSON object; send one with the content type application/json"
    if error["type"] == "missing":
        return f"{field} is missing"
    if error["type"] == "extra_forbidden":
        return f"{field} is not a field of this request; GET /docs lists them"
    reason = error["msg"].removeprefix("Input ").lower()
    return f"{field} {reason}, got {reprlib.repr(error['input'])}"


async def _on_pairdex_error(request: Request, raised: Exception) -> Response:
    error = cast("PairdexError", raised)
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if status >= 500:
        _log(request, f"{request.method} {request.url.path}: {error}")
    field = error.field if isinstance(error, InvalidArgument) else None
    message = request.app.state.catalogue.without_places(str(error))
    return error_response(status, error.code, message, field)


async def _on_unreadable(request: Request, error: Exception) -> Response:
    """Answer 503 if a file cannot be read or written: its folder has just gone, or its disk fails."""
    _log(request, f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
    message = "a file of the collection cannot be read; ask again in a moment"
    return error_response(503, "unreadable_file", message, headers={"Retry-After": "1"})


async def _on_gone(_: Request, __: Exception) -> Response:
    return error_response(
        400, "client_gone", "the client disconnected before its body was complete"
    )


async def _on_bug(request: Request, error: Exception) -> Response:
    _log(request, f"{request.method} {request.url.path} failed: {type(error).__name__}")
    headers = HEADERS | {"X-Request-ID": request.scope.get(REQUEST_ID, "")}
    return error_response(500, "internal_error", "the service failed; see its log", headers=headers)


def _log(request: Request, message: str) -> None:
    _logger.error("%s", message, extra={"facts": {"request_id": request.scope.get(REQUEST_ID)}})
