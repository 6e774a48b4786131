"""The routes of the REST interface, each a small function, in one list."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from pairdex.encoders.text import MAX_TEXT_CHARS
from pairdex.errors import InvalidArgument
from pairdex.search.picture_names import picture_note
from pairdex.service import clip_retrieval as clip
from pairdex.service import downloads, limits, lookup, thumbnails
from pairdex.service import request_models as requests
from pairdex.service import response_models as responses
from pairdex.service.answers import answer
from pairdex.service.atlas import Atlases
from pairdex.service.catalogue import Catalogue, ServedCollection
from pairdex.service.duplicates import Duplicates
from pairdex.service.errors import ApiError
from pairdex.service.fetching import Fetcher
from pairdex.service.metrics import CONTENT_TYPE
from pairdex.service.queries import query_of
from pairdex.service.reloader import CollectionReloader
from pairdex.service.search_result import SearchResult
from pairdex.service.searches import Searches
from pairdex.service.workers import Workers
from pairdex.version import __version__

__all__ = ["ROUTES", "Route"]

Search = TypeVar("Search", bound=requests.SearchRequest)
CollectionName = Annotated[
    str | None, Query(description="Name of a collection; default: the first.")
]
Side = Annotated[
    int,
    Query(
        ge=limits.MIN_PICTURE_SIDE,
        le=limits.MAX_PICTURE_SIDE,
        description="Largest longer side in pixels.",
    ),
]


async def health(request: Request) -> Response:
    """Report whether the service is ready: 200 if every collection can be searched, otherwise 503."""
    reloader: CollectionReloader = request.app.state.reloader
    catalogue = _catalogue(request)
    if any(catalogue.trouble(served.name) for served in catalogue):
        status = "unavailable"
    elif reloader.is_warm:
        return answer({"status": "ok", "version": __version__})
    else:
        status = "warming" if reloader.failed is None else "failed"
    return answer(
        {"status": status, "version": __version__}, status=503, headers={"Retry-After": "1"}
    )


async def metrics(request: Request) -> Response:
    """Return counts and times in Prometheus' text format."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE)


async def collections(request: Request) -> Response:
    """Return the available collections, their columns and how they can be searched."""
    return answer(
        {
            "collections": [served.describe() for served in _catalogue(request).available()],
            "limits": {
                "body_bytes": limits.MAX_BODY_BYTES,
                "k": limits.MAX_K,
                "depth": limits.MAX_DEPTH,
                "ids": limits.MAX_IDS,
                "text_chars": MAX_TEXT_CHARS,
            },
        }
    )


async def search(
    request: Request, asked: requests.SearchRequest, collection: CollectionName = None
) -> Response:
    """Find the rows nearest to a query, or those that keywords and a filter choose."""
    started = time.perf_counter()
    served = _catalogue(request).pick(asked.collection or collection)
    found = await _found(request, served, await _with_picture(request, asked))
    if asked.vectors:
        ids = [hit["id"] for hit in found.hits]
        work = partial(lookup.vectors_of, served, ids, asked.on)
        for hit, vector in zip(found.hits, await _workers(request).run(work), strict=True):
            hit["vector"] = vector.tolist()
    seconds = time.perf_counter() - started
    content = {
        **found.as_json(),
        "note": found.report.note or picture_note(asked.text),
        "on": asked.on,
        "safe": lookup.wants_safe(served, asked.safe),
        "seconds": seconds,
    }
    if asked.partial:
        content["missing_shards"] = list(found.report.missing)
    if asked.explain:
        content["explain"] = [one.as_json() for one in found.report.answered.choices]
    started = time.perf_counter()
    response = answer(content)
    request.app.state.metrics.stage("serialise", time.perf_counter() - started)
    return response


async def _with_picture(request: Request, asked: Search) -> Search:
    """Return a request with its `image_url` replaced by the picture, if the service may fetch it."""
    if asked.image_url is None:
        return asked
    fetch = partial(request.app.state.fetcher.fetch, asked.image_url)
    data = await request.app.state.fetchers.run(fetch)
    encoded = base64.b64encode(data).decode()
    return asked.model_copy(update={"image": encoded, "image_url": None})


async def _found(
    request: Request, served: ServedCollection, asked: requests.SearchRequest
) -> SearchResult:
    """Search in a batch with others; alone without a query, or for a picture, keywords, folding, or a projection."""
    if asked.on in served.kinds and not asked.goes_alone:
        searches: Searches = request.app.state.searches
        query = query_of(served, asked)
        where = await _where(request, served, asked)
        return await searches.find(
            served,
            query,
            on=asked.on,
            where=where,
            k=asked.k,
            offset=asked.offset,
            exact=asked.exact,
            hybrid=asked.hybrid,
            is_partial=asked.partial,
        )
    return await _workers(request).run(partial(lookup.find, served, asked))


async def _where(
    request: Request, served: ServedCollection, asked: requests.SearchRequest
) -> str | None:
    """Return the filter including safe mode; a worker checks a filter of the client."""
    is_safe = lookup.wants_safe(served, asked.safe)
    narrow = partial(served.collection.narrowed, asked.where, safe=is_safe)
    return narrow() if asked.where is None else await _workers(request).run(narrow)


async def download(
    request: Request, asked: requests.DownloadRequest, collection: CollectionName = None
) -> Response:
    """Search, and return the hits as a file."""
    served = _catalogue(request).pick(asked.collection or collection)
    asked = await _with_picture(request, asked)
    table = await _workers(request).run(partial(downloads.find_rows, served, asked))
    name = downloads.file_name(served, asked.format)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    media = downloads.MEDIA[asked.format]
    return StreamingResponse(
        downloads.write(table, asked.format), media_type=media, headers=headers
    )


async def contains(
    request: Request, asked: requests.ContainsRequest, collection: CollectionName = None
) -> Response:
    """Return which rows have the URLs, or whether a picture is in the collection."""
    served = _catalogue(request).pick(asked.collection or collection)
    return answer(await _workers(request).run(partial(lookup.contains, served, asked)))


async def facets(
    request: Request, asked: requests.FacetsRequest, collection: CollectionName = None
) -> Response:
    """Return column statistics over the rows that match a filter."""
    served = _catalogue(request).pick(asked.collection or collection)
    return answer(await _workers(request).run(partial(lookup.facets, served, asked)))


async def items(
    request: Request, asked: requests.ItemsRequest, collection: CollectionName = None
) -> Response:
    """Return rows, in the order of the ids."""
    served = _catalogue(request).pick(asked.collection or collection)
    rows = await _workers(request).run(partial(lookup.read_rows, served, asked.ids, "ids"))
    return answer({"items": rows})


async def item(request: Request, id: int, collection: CollectionName = None) -> Response:  # noqa: A002
    """Return one row."""
    served = _catalogue(request).pick(collection)
    rows = await _workers(request).run(partial(lookup.read_rows, served, [id], "id"))
    return answer(rows[0])


async def picture(
    request: Request,
    id: int,  # noqa: A002
    size: Side = limits.DEFAULT_PICTURE_SIDE,
    collection: CollectionName = None,
) -> Response:
    """Return a row's picture, reduced to a size: JPEG, or WebP if it is transparent."""
    served = _catalogue(request).pick(collection)
    lookup.check_id(served, id, "id")
    workers = _workers(request)
    found = await workers.run(partial(thumbnails.find, served, id))
    # Browsers ask again each time, so that the picture of a removed row disappears.
    headers = {"Cache-Control": "private, no-cache"}
    if found is None:
        data = await _fetched(request, served, id)
        drawn = await workers.run(partial(thumbnails.draw_bytes, data, size, id))
        return Response(drawn.data, media_type=drawn.media_type, headers=headers)
    headers["ETag"] = f'"{found.version}-{size}"'
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    drawn = await workers.run(partial(thumbnails.draw, found, size))
    return Response(drawn.data, media_type=drawn.media_type, headers=headers)


async def _fetched(request: Request, served: ServedCollection, row_id: int) -> bytes:
    """Return the picture at a row's URL, if the service may fetch it."""
    fetcher: Fetcher = request.app.state.fetcher
    url = served.collection.values([row_id])[0].get("url") if fetcher.hosts else None
    if not isinstance(url, str):
        raise ApiError(404, "no_picture", f"row {row_id} does not have a local picture", "id")
    fetchers: Workers = request.app.state.fetchers
    try:
        return await fetchers.run(partial(fetcher.fetch, url, "its url"))
    except InvalidArgument as error:
        raise ApiError(404, "no_picture", f"row {row_id}: {error}", "id") from error


async def atlas(request: Request, collection: CollectionName = None) -> Response:
    """Return the map of a collection: its points, the number of rows at each, and its regions."""
    served = _catalogue(request).pick(collection)
    atlases: Atlases = request.app.state.atlases
    return answer(await _workers(request).run(partial(atlases.describe, served)))


async def atlas_column(request: Request, name: str, collection: CollectionName = None) -> Response:
    """Return the values of a column for the points of the map, to colour them by."""
    served = _catalogue(request).pick(collection)
    atlases: Atlases = request.app.state.atlases
    return answer(await _workers(request).run(partial(atlases.column, served, name)))


async def places(
    request: Request, asked: requests.ItemsRequest, collection: CollectionName = None
) -> Response:
    """Return the positions of rows on the map."""
    served = _catalogue(request).pick(asked.collection or collection)
    atlases: Atlases = request.app.state.atlases
    found = await _workers(request).run(partial(atlases.places, served, asked.ids))
    return answer({"places": found})


async def duplicates(
    request: Request, asked: Annotated[requests.DuplicatesRequest, Query()]
) -> Response:
    """Return groups of near-duplicates, or how far the search for them is."""
    served = _catalogue(request).pick(asked.collection)
    found: Duplicates = request.app.state.duplicates
    return answer(await _workers(request).run(partial(found.page, served, asked)))


async def duplicate_group(
    request: Request,
    id: requests.Id,  # noqa: A002
    asked: Annotated[requests.DuplicateGroupRequest, Query()],
) -> Response:
    """Return the rows of one group of near-duplicates, by the id of the row that is kept."""
    served = _catalogue(request).pick(asked.collection)
    found: Duplicates = request.app.state.duplicates
    return answer(await _workers(request).run(partial(found.group, served, id, asked)))


@dataclass(frozen=True)
class Route:
    """A route and the description of its response for OpenAPI."""

    method: str
    path: str
    function: Callable[..., Any]
    model: type[Any] | None = None
    media: tuple[str, ...] = ("application/json",)
    body: type[BaseModel] | None = None  # of a route that parses it itself


ROUTES = (
    Route("GET", "/health", health, responses.HealthResponse),
    Route("GET", "/metrics", metrics, media=("text/plain",)),
    Route("GET", "/api/collections", collections, responses.CollectionsResponse),
    Route("POST", "/api/search", search, responses.SearchResponse),
    Route("POST", "/api/download", download, media=tuple(downloads.MEDIA.values())),
    Route("POST", "/api/contains", contains, responses.ContainsResponse),
    Route("POST", "/api/facets", facets, responses.FacetsResponse),
    Route("POST", "/api/items", items, responses.ItemsResponse),
    Route("GET", "/api/items/{id}", item, responses.RowItem),
    Route("GET", "/api/items/{id}/picture", picture, media=("image/jpeg", "image/webp")),
    Route("POST", "/knn-service", clip.knn_service, list[clip.KnnHit], body=clip.KnnRequest),
    Route("POST", "/metadata", clip.metadata, list[clip.RowMetadata], body=clip.MetadataRequest),
    Route("GET", "/indices-list", clip.indices_list, list[str]),
    Route("GET", "/api/duplicates", duplicates, responses.DuplicatesResponse),
    Route("GET", "/api/duplicates/{id}", duplicate_group, responses.DuplicateGroup),
    Route("GET", "/api/atlas", atlas, responses.AtlasResponse),
    Route("GET", "/api/atlas/column", atlas_column, responses.AtlasColumnResponse),
    Route("POST", "/api/atlas/places", places, responses.AtlasPlacesResponse),
)


def _catalogue(request: Request) -> Catalogue:
    found: Catalogue = request.app.state.catalogue
    return found


def _workers(request: Request) -> Workers:
    found: Workers = request.app.state.workers
    return found
