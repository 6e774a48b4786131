"""A typed client of a running service: `pairdex.Client(url).search("a red car")`."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx

from pairdex.arguments import StrPath, checked, checked_class
from pairdex.errors import InvalidArgument, MissingFile, ServiceFailed
from pairdex.files import atomic

__all__ = ["Client", "Contained", "Hit", "PictureFound", "SearchAnswer"]

TIMEOUT_SECONDS = 60.0  # seconds; the service's own limit is shorter
_UNAVAILABLE = "unavailable"

Format = Literal["jsonl", "csv", "parquet", "urls"]


@dataclass(frozen=True)
class Hit:
    """A found row; `columns` holds all other columns.

    `distance` and `similarity` are None if no vectors were compared. `fused_score`, `vector_rank`,
    `keyword_rank` and `keyword_score` explain the order of a search that used keywords.
    """

    id: int
    distance: float | None
    similarity: float | None
    url: str | None = None
    caption: str | None = None
    folded: list[int] | None = None
    vector: list[float] | None = None
    fused_score: float | None = None
    vector_rank: int | None = None
    keyword_rank: int | None = None
    keyword_score: float | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchAnswer:
    """Search results, best first.

    Attributes
    ----------
    method
        What answered: `vectors`, `hybrid`, `keywords` or `browse`.
    words
        The words of captions that ranked or chose the rows.
    total
        With `keywords` and `browse`: the number of rows that match.
    next
        With `keywords` and `browse`: the `after` of the next page; None on the last.
    note
        What limited the answer; None if nothing did.
    """

    hits: list[Hit]
    exact: bool
    on: str
    safe: bool
    seconds: float
    method: str
    words: list[str]
    total: int | None
    next: int | None
    note: str | None


@dataclass(frozen=True)
class PictureFound:
    """The row nearest to a picture, and whether it is near enough to count as the same."""

    id: int | None
    distance: float | None
    contained: bool


@dataclass(frozen=True)
class Contained:
    """The matches in the collection: the row ids of each URL, or the row nearest to the picture."""

    urls: dict[str, list[int]] | None
    image: PictureFound | None


@checked_class
class Client:
    """A client of a running service.

    Every method raises ServiceFailed if the service refuses the request, fails or is unreachable.

    Parameters
    ----------
    url
        The service's URL, as `pairdex serve` prints it.
    token
        The service's `--token`.
    http
        The httpx client for requests. The default is a new one.
    """

    def __init__(
        self, url: str, token: str | None = None, *, http: httpx.Client | None = None
    ) -> None:
        if http is not None and not hasattr(http, "build_request"):
            raise InvalidArgument(
                f"http is a {type(http).__name__}, expected an httpx.Client", field="http"
            )
        self._url = url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS) if http is None else http

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> dict[str, Any]:
        """Return the status (`ok` if the service is ready) and the version."""
        response = self._sent("GET", "/health", None)
        answer = _content(response)
        if "status" not in answer:
            raise _refusal(response)
        return answer

    def collections(self) -> list[dict[str, Any]]:
        """Return each collection's content and search options."""
        return list(self._json("GET", "/api/collections")["collections"])

    def search(
        self,
        question: str | os.PathLike[str] | bytes | int | Sequence[float] | None = None,
        **asked: Any,  # noqa: ANN401 - the fields of POST /api/search
    ) -> SearchAnswer:
        """Search: `client.search("a red car", k=5)`.

        Parameters
        ----------
        question
            The query. A str is a text; a Path or bytes are a picture; an int is the id of a row;
            numbers (dim,) are a vector. Without a question, one of the fields gives the query; or
            `keywords`, `where` and `sort` choose and order the rows.
        **asked
            The fields of POST /api/search (docs/service.md): text, image, like, vector or terms; k,
            where, keywords, … A picture may be bytes or a path. The service checks all other
            fields.
        """
        if question is not None:
            asked |= {_field_of(question): question}
        answer = self._json("POST", "/api/search", _body(asked))
        names = {each.name for each in fields(SearchAnswer)} - {"hits"}
        facts = {name: answer[name] for name in names}
        return SearchAnswer(hits=[_hit(row) for row in answer["hits"]], **facts)

    @checked
    def download(
        self,
        out: StrPath,
        *,
        form: Format,
        **asked: Any,  # noqa: ANN401 - the fields of POST /api/search
    ) -> int:
        """Write up to 10,000 hits to a file and return its size in bytes.

        If this fails, an existing file does not change.

        Parameters
        ----------
        out
            The file to write.
        form
            jsonl, csv, parquet or urls.
        asked
            The fields of POST /api/search.
        """
        request = self._request("POST", "/api/download", _body(asked) | {"format": form})
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                with atomic.replacing(Path(out)) as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
                    return file.tell()
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    @checked
    def items(self, ids: Iterable[int], *, collection: str | None = None) -> list[dict[str, Any]]:
        """Return the rows with these ids, in the same order.

        Parameters
        ----------
        collection
            A collection of the service, by name. None means the first.
        ids
            Integers (n,).
        """
        body = _body({"ids": [int(row_id) for row_id in ids], "collection": collection})
        return list(self._json("POST", "/api/items", body)["items"])

    @checked
    def item(self, row_id: int, *, collection: str | None = None) -> dict[str, Any]:
        """Return the row with this id.

        Parameters
        ----------
        collection
            A collection of the service, by name. None means the first.
        row_id
            The id of the row.
        """
        return self._json("GET", f"/api/items/{int(row_id)}", collection=collection)

    @checked
    def picture(
        self, row_id: int, *, size: int | None = None, collection: str | None = None
    ) -> bytes:
        """Return a row's local picture as JPEG or WebP, with its longer side at most `size` pixels.

        Parameters
        ----------
        collection
            A collection of the service, by name. None means the first.
        row_id
            The id of the row.
        """
        asked = {"size": size, "collection": collection}
        return self._answer("GET", f"/api/items/{int(row_id)}/picture", None, **asked).content

    @checked
    def contains(
        self,
        *,
        urls: Iterable[str] | None = None,
        image: bytes | StrPath | None = None,
        max_distance: float | None = None,
        collection: str | None = None,
    ) -> Contained:
        """Look up URLs or a picture in the collection. Give exactly one of the two.

        Parameters
        ----------
        collection
            A collection of the service, by name. None means the first.
        urls
            The URLs to look up.
        image
            The picture to look up: bytes or a path.
        max_distance
            Pictures within this distance count as the same. None means the service's default.
        """
        asked = {"urls": urls, "image": image, "max_distance": max_distance}
        answer = self._json("POST", "/api/contains", _body({**asked, "collection": collection}))
        rows, picture = answer["urls"], answer["image"]
        return Contained(
            None if rows is None else {each["url"]: each["ids"] for each in rows},
            None if picture is None else PictureFound(**picture),
        )

    @checked
    def facets(
        self,
        *,
        where: str | None = None,
        safe: bool | None = None,
        keywords: str | None = None,
        collection: str | None = None,
    ) -> dict[str, Any]:
        """Return column statistics over the rows that satisfy a filter.

        Parameters
        ----------
        collection
            A collection of the service, by name. None means the first.
        where
            A SQL predicate over the columns.
        safe
            Include only rows known to be safe.
        keywords
            Count only the rows that a search with these keywords alone finds.
        """
        body = _body({"where": where, "safe": safe, "keywords": keywords, "collection": collection})
        return self._json("POST", "/api/facets", body)

    def _json(
        self, method: str, path: str, body: dict[str, Any] | None = None, **asked: str | None
    ) -> dict[str, Any]:
        return _content(self._answer(method, path, body, **asked))

    def _answer(
        self, method: str, path: str, body: dict[str, Any] | None, **asked: str | int | None
    ) -> httpx.Response:
        response = self._sent(method, path, body, **asked)
        if not response.is_success:
            raise _refusal(response)
        return response

    def _sent(
        self, method: str, path: str, body: dict[str, Any] | None, **asked: str | int | None
    ) -> httpx.Response:
        try:
            return self._http.send(self._request(method, path, body, **asked))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, **asked: str | int | None
    ) -> httpx.Request:
        given = {name: value for name, value in asked.items() if value is not None}
        url = self._url + path
        try:
            return self._http.build_request(
                method, url, json=body, params=given, headers=self._headers
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ServiceFailed:
        reason = str(error) or type(error).__name__
        return ServiceFailed(
            f"no answer from {self._url}: {reason}; is pairdex serve running there?",
            status=0,
            reason=_UNAVAILABLE,
        )


def _body(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields as JSON-compatible values; pictures become base64."""
    return {name: _plain(name, value) for name, value in asked.items() if value is not None}


def _field_of(question: object) -> str:
    """Return the request field for a question, by the question's type."""
    if isinstance(question, str):
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
        return [_body(term) for term in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _picture(value: bytes | StrPath) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return Path(value).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise MissingFile(f"the picture {value} cannot be read: {error}") from error


def _hit(row: dict[str, Any]) -> Hit:
    own = {each.name for each in fields(Hit)} - {"columns"}
    columns = {name: value for name, value in row.items() if name not in own}
    return Hit(**{name: row[name] for name in own & row.keys()}, columns=columns)


def _content(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as error:
        raise _not_ours(response) from error
    if not isinstance(answer, dict):
        raise _not_ours(response)
    return answer


def _refusal(response: httpx.Response) -> ServiceFailed:
    try:
        error = response.json()["error"]
        return ServiceFailed(
            error["message"],
            status=response.status_code,
            reason=error["code"],
            field=error.get("field"),
        )
    except (ValueError, KeyError, TypeError):
        return _not_ours(response)


def _not_ours(response: httpx.Response) -> ServiceFailed:
    return ServiceFailed(
        f"{response.url} answered {response.status_code} and not as pairdex does; "
        "is another program there?",
        status=response.status_code,
        reason=_UNAVAILABLE,
    )
