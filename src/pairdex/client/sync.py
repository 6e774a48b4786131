"""The client that blocks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from typing_extensions import Unpack

from pairdex.arguments import StrPath, checked, checked_class
from pairdex.client import calls
from pairdex.client.answers import Contained, SearchAnswer, refusal, unreachable
from pairdex.client.calls import Call, Format
from pairdex.client.search_fields import Question, SearchFields, with_search_fields
from pairdex.errors import InvalidArgument
from pairdex.files import atomic

__all__ = ["TIMEOUT_SECONDS", "Client"]

TIMEOUT_SECONDS = 60.0  # the service's own limit is shorter

T = TypeVar("T")


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
        return self._run(calls.health())

    def collections(self) -> list[dict[str, Any]]:
        """Return each collection's content and search options."""
        return self._run(calls.collections())

    @with_search_fields
    def search(
        self, question: Question | None = None, **fields: Unpack[SearchFields]
    ) -> SearchAnswer:
        """Search: `client.search("a red car", k=5)`.

        The service checks the values of all parameters. None means its default.

        Parameters
        ----------
        question
            The query. A str is a text; a Path or bytes are a picture; an int is the id of a row;
            numbers (dim,) are a vector. Without any query, `keywords`, `where` and `sort` choose and
            order the rows.
        text, image, image_url, like, vector, terms
            Alternatives to `question`; give exactly one: a text, a picture (bytes or a path), the
            URL of a picture, an id, a vector (dim,), or weighted terms. A term is a `Term` or a
            dictionary of its fields.
        unlike
            A text whose direction is subtracted from the query vector.
        on
            Vectors to use: image, text, or the name of a projection.
        k, offset
            Number of rows to find, and number of nearest rows to skip.
        where, safe
            A SQL predicate over the columns; include only rows known to be safe.
        keywords
            Words that captions should contain.
        hybrid
            Also rank a text by the captions that contain its words. False: by vectors alone.
        sort, descending, after
            Without a query: the column that orders the rows, or `id`; the other direction; and the
            `next` of the page before.
        fold
            Fold rows within this cosine distance of an earlier hit into that hit.
        vectors
            Include the stored vector of each hit.
        exact
            Ignore the index; search exactly.
        partial
            With a service on a cluster: answer although shards are missing; `missing_shards` names them.
        explain
            Say which ways the search had and which it took.
        collection
            A collection of the service, by name. None means the first.
        """
        return self._run(calls.search(question, fields))

    @with_search_fields
    @checked
    def download(self, out: StrPath, *, form: Format, **fields: Unpack[SearchFields]) -> int:
        """Write up to 10,000 hits to a file and return its size in bytes.

        If this fails, an existing file does not change.

        Parameters
        ----------
        out
            The file to write.
        form
            jsonl, csv, parquet or urls.
        text, image, image_url, like, vector, terms, unlike, on, k, offset, where, safe, keywords
            As in `search`.
        hybrid, sort, descending, after
            As in `search`.
        fold, vectors, exact, partial, explain, collection
            As in `search`.
        """
        request = calls.request(self._http, self._url, self._headers, calls.download(form, fields))
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.is_error:
                    response.read()
                    raise refusal(response)
                with atomic.replacing(Path(out)) as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
                    return file.tell()
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from error

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
        return self._run(calls.items(ids, collection))

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
        return self._run(calls.item(row_id, collection))

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
        return self._run(calls.picture(row_id, size, collection))

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
        return self._run(calls.contains(urls, image, max_distance, collection))

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
        return self._run(calls.facets(where, safe, keywords, collection))

    def _run(self, call: Call[T]) -> T:
        request = calls.request(self._http, self._url, self._headers, call)
        try:
            return call.read(self._http.send(request))
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from error
