"""The client to await: every method of `Client`, as a coroutine."""

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
from pairdex.client.sync import TIMEOUT_SECONDS
from pairdex.errors import InvalidArgument
from pairdex.files import atomic

__all__ = ["AsyncClient"]

T = TypeVar("T")


@checked_class
class AsyncClient:
    """A client of a running service whose methods are coroutines: `await client.search("a red car")`.

    It has the methods of `Client`, with the same parameters. Use it as
    `async with AsyncClient(url) as client`.

    Parameters
    ----------
    url
        The service's URL, as `pairdex serve` prints it.
    token
        The service's `--token`.
    http
        The httpx.AsyncClient for requests. The default is a new one.
    """

    def __init__(
        self, url: str, token: str | None = None, *, http: httpx.AsyncClient | None = None
    ) -> None:
        if http is not None and not hasattr(http, "build_request"):
            raise InvalidArgument(
                f"http is a {type(http).__name__}, expected an httpx.AsyncClient", field="http"
            )
        self._url = url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS) if http is None else http

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def health(self) -> dict[str, Any]:
        """Await `Client.health`."""
        return await self._run(calls.health())

    async def collections(self) -> list[dict[str, Any]]:
        """Await `Client.collections`."""
        return await self._run(calls.collections())

    @with_search_fields
    async def search(
        self, question: Question | None = None, **fields: Unpack[SearchFields]
    ) -> SearchAnswer:
        """Await `Client.search`."""
        return await self._run(calls.search(question, fields))

    @with_search_fields
    @checked
    async def download(self, out: StrPath, *, form: Format, **fields: Unpack[SearchFields]) -> int:
        """Await `Client.download`."""
        request = calls.request(self._http, self._url, self._headers, calls.download(form, fields))
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.is_error:
                    await response.aread()
                    raise refusal(response)
                with atomic.replacing(Path(out)) as file:
                    async for piece in response.aiter_bytes():
                        file.write(piece)
                    return file.tell()
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from error

    @checked
    async def items(
        self, ids: Iterable[int], *, collection: str | None = None
    ) -> list[dict[str, Any]]:
        """Await `Client.items`."""
        return await self._run(calls.items(ids, collection))

    @checked
    async def item(self, row_id: int, *, collection: str | None = None) -> dict[str, Any]:
        """Await `Client.item`."""
        return await self._run(calls.item(row_id, collection))

    @checked
    async def picture(
        self, row_id: int, *, size: int | None = None, collection: str | None = None
    ) -> bytes:
        """Await `Client.picture`."""
        return await self._run(calls.picture(row_id, size, collection))

    @checked
    async def contains(
        self,
        *,
        urls: Iterable[str] | None = None,
        image: bytes | StrPath | None = None,
        max_distance: float | None = None,
        collection: str | None = None,
    ) -> Contained:
        """Await `Client.contains`."""
        return await self._run(calls.contains(urls, image, max_distance, collection))

    @checked
    async def facets(
        self,
        *,
        where: str | None = None,
        safe: bool | None = None,
        keywords: str | None = None,
        collection: str | None = None,
    ) -> dict[str, Any]:
        """Await `Client.facets`."""
        return await self._run(calls.facets(where, safe, keywords, collection))

    async def _run(self, call: Call[T]) -> T:
        request = calls.request(self._http, self._url, self._headers, call)
        try:
            return call.read(await self._http.send(request))
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from error
