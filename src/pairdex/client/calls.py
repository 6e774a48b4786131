"""One function for each route: what a client sends, and how it reads the answer.

The clients only send the calls. So one to block and one to await say and understand the same.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import httpx

from pairdex.arguments import StrPath
from pairdex.client.answers import (
    Contained,
    SearchAnswer,
    as_contained,
    as_search_answer,
    content_of,
    refusal,
    unreachable,
)
from pairdex.client.search_fields import Question, SearchFields
from pairdex.errors import InvalidArgument, MissingFile
from pairdex.search.picture_names import check_no_picture
from pairdex.search.query import Term

__all__ = [
    "Call",
    "Format",
    "collections",
    "contains",
    "download",
    "facets",
    "health",
    "item",
    "items",
    "picture",
    "request",
    "search",
]

T = TypeVar("T")

Format = Literal["jsonl", "csv", "parquet", "urls"]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and the function that reads its response."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    body: dict[str, Any] | None = None
    params: Mapping[str, str | int | None] | None = None


def request(
    http: httpx.Client | httpx.AsyncClient, url: str, headers: dict[str, str], call: Call[Any]
) -> httpx.Request:
    """Return the HTTP request of a call.

    Raises
    ------
    ServiceFailed
        The URL is not one of a service.
    """
    given = {name: value for name, value in (call.params or {}).items() if value is not None}
    try:
        return http.build_request(
            call.method, url + call.path, json=call.body, params=given, headers=headers
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise unreachable(url, error) from error


def health() -> Call[dict[str, Any]]:
    """Ask for the status; a service that is not ready answers too."""
    return Call("GET", "/health", _health)


def collections() -> Call[list[dict[str, Any]]]:
    """Ask for the list of collections."""
    return Call("GET", "/api/collections", lambda response: list(_json(response)["collections"]))


def search(question: Question | None, given: SearchFields) -> Call[SearchAnswer]:
    """Search."""
    body = _search_body(question, given)
    return Call("POST", "/api/search", lambda response: as_search_answer(_json(response)), body)


def download(form: Format, given: SearchFields) -> Call[None]:
    """Search for a file of hits; the client writes the response."""
    body = _search_body(None, given) | {"format": form}
    return Call("POST", "/api/download", lambda _: None, body)


def items(ids: Iterable[int], collection: str | None) -> Call[list[dict[str, Any]]]:
    """Ask for rows."""
    body = _body({"ids": [int(row_id) for row_id in ids], "collection": collection})
    return Call("POST", "/api/items", lambda response: list(_json(response)["items"]), body)


def item(row_id: int, collection: str | None) -> Call[dict[str, Any]]:
    """Ask for one row."""
    return Call("GET", f"/api/items/{int(row_id)}", _json, None, {"collection": collection})


def picture(row_id: int, size: int | None, collection: str | None) -> Call[bytes]:
    """Ask for a row's picture."""
    params = {"size": size, "collection": collection}
    return Call("GET", f"/api/items/{int(row_id)}/picture", _content, None, params)


def contains(
    urls: Iterable[str] | None,
    image: bytes | StrPath | None,
    max_distance: float | None,
    collection: str | None,
) -> Call[Contained]:
    """Look up URLs or a picture."""
    given = {"urls": urls, "image": image, "max_distance": max_distance, "collection": collection}
    return Call(
        "POST", "/api/contains", lambda response: as_contained(_json(response)), _body(given)
    )


def facets(
    where: str | None, safe: bool | None, keywords: str | None, collection: str | None
) -> Call[dict[str, Any]]:
    """Ask for column statistics."""
    given = {"where": where, "safe": safe, "keywords": keywords, "collection": collection}
    return Call("POST", "/api/facets", _json, _body(given))


def _health(response: httpx.Response) -> dict[str, Any]:
    answer = content_of(response)
    if "status" not in answer:
        raise refusal(response)
    return answer


def _json(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise refusal(response)
    return content_of(response)


def _content(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise refusal(response)
    return response.content


def _search_body(question: Question | None, given: SearchFields) -> dict[str, Any]:
    asked: dict[str, Any] = dict(given)
    if question is not None:
        asked[_field_of(question)] = question
    return _body(asked)


def _body(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields as JSON-compatible values; pictures become base64."""
    return {name: _plain(name, value) for name, value in asked.items() if value is not None}


def _field_of(question: object) -> str:
    """Return the request field for a question, by the question's type."""
    if isinstance(question, str):
        check_no_picture(question)
        return "text"
    if isinstance(question, (bytes, os.PathLike)):
        return "image"
    if isinstance(question, Integral) and not isinstance(question, bool):
        return "like"
    if isinstance(question, Sequence) or hasattr(question, "tolist"):
        return "vector"
    raise InvalidArgument(
        f"question is a {type(question).__name__}, expected a text, a Path, bytes, an id or a vector",
        field="question",
    )


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - any field
    if name == "image":
        return base64.b64encode(_picture(value)).decode()
    if name == "urls":
        return list(value)
    if name == "terms":
        return [_body(_term(term)) for term in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _term(term: Mapping[str, Any] | Term) -> Mapping[str, Any]:
    if isinstance(term, Term):
        return {each.name: getattr(term, each.name) for each in fields(term)}
    return term


def _picture(value: bytes | StrPath) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return Path(value).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise MissingFile(f"the picture {value} cannot be read: {error}") from error
