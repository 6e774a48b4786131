"""The work behind the routes, for worker threads: searches by themselves, facets, rows."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.files import json_values
from pairdex.search import Facet, Hits, Query, SearchOptions, hit_columns
from pairdex.service.catalogue import ServedCollection
from pairdex.service.errors import ApiError
from pairdex.service.queries import check_model, no_such_row, open_image, query_of
from pairdex.service.request_models import ContainsRequest, FacetsRequest, SearchRequest
from pairdex.service.search_result import SearchResult
from pairdex.service.texts import BEING_INDEXED

__all__ = [
    "check_captions",
    "check_id",
    "contains",
    "facets",
    "find",
    "find_table",
    "read_rows",
    "vectors_of",
    "wants_safe",
]


def find(served: ServedCollection, asked: SearchRequest) -> SearchResult:
    """Return the result of a search that goes by itself; raises as `query_of`."""
    found = find_table(served, asked)
    return SearchResult(found.as_json(), found.report)


def find_table(served: ServedCollection, asked: SearchRequest) -> Hits:
    """Return the result of a search as a table; raises as `query_of` and `check_captions`."""
    if asked.keywords is not None:
        check_captions(served)
    finder, captions = served.collection.finder, served.collection.finder.captions
    is_ready = not captions.exist or captions.are_ready
    options = SearchOptions(
        k=asked.k,
        offset=asked.offset,
        on=asked.on,
        where=asked.where,
        safe=wants_safe(served, asked.safe),
        keywords=asked.keywords,
        hybrid=asked.hybrid and is_ready,
        sort=asked.sort,
        descending=asked.descending,
        after=asked.after,
        fold=asked.fold,
        exact=asked.exact,
        partial=asked.partial,
    )
    found = (
        finder.find(query_of(served, asked), options) if asked.has_query else finder.browse(options)
    )
    if asked.text is None or is_ready or not asked.hybrid:
        return found
    return Hits(found.table, replace(found.report, note=BEING_INDEXED))


def check_captions(served: ServedCollection) -> None:
    """Raise ApiError (503) while the captions of a large collection are being indexed."""
    captions = served.collection.finder.captions
    if captions.exist and not captions.are_ready:
        raise ApiError(
            503,
            "indexing",
            f"the captions of {served.name} are being indexed; search by keywords again in a while",
            "keywords",
            headers={"Retry-After": "5"},
        )


def contains(served: ServedCollection, asked: ContainsRequest) -> dict[str, Any]:
    """Return which rows have the URLs, or whether the picture is in the collection."""
    started = time.perf_counter()
    urls = image = None
    if asked.urls is not None:
        rows = served.collection.find_urls(asked.urls)
        urls = [{"url": url, "ids": ids} for url, ids in zip(asked.urls, rows, strict=True)]
    else:
        assert asked.image is not None, "the request has urls or image"
        served.collection.finder.store.check_cosine("the search for the same picture")
        check_model(served, "image")
        found = served.collection.search(Query(image=open_image(asked.image)), k=1).table
        row_id, distance = ([*found[name].to_pylist(), None][0] for name in ("id", "distance"))
        is_there = distance is not None and distance <= asked.max_distance
        image = {"id": row_id, "distance": distance, "contained": is_there}
    return {"urls": urls, "image": image, "seconds": time.perf_counter() - started}


def vectors_of(served: ServedCollection, ids: list[int], on: str) -> NDArray[np.float32]:
    """Return the stored vectors (n, dim) of rows that a search `on` compares."""
    view = served.collection.vectors(served.collection.kind_of(on))
    return view[np.array(ids, np.int64)].astype(np.float32)


def facets(served: ServedCollection, asked: FacetsRequest) -> dict[str, Any]:
    """Return column statistics over the rows that match a filter."""
    is_safe = wants_safe(served, asked.safe)
    if asked.keywords is not None:
        check_captions(served)
    found = served.collection.facets(where=asked.where, safe=is_safe, keywords=asked.keywords)
    columns = [vars(column) | {"values": _counted(column)} for column in found.columns]
    return {"rows": found.rows, "counted": found.counted, "safe": is_safe, "columns": columns}


def _counted(column: Facet) -> list[dict[str, Any]] | None:
    if column.values is None:
        return None
    return [{"value": value, "count": count} for value, count in column.values]


def wants_safe(served: ServedCollection, asked: bool | None) -> bool:
    """Return whether safe mode applies: as requested, or by default if the collection has it."""
    return served.collection.has_safe_mode if asked is None else asked


def read_rows(
    served: ServedCollection, ids: list[int], field: str | None = None
) -> list[dict[str, Any]]:
    """Return all columns of rows, in the order of `ids`.

    Raises
    ------
    ApiError
        404, an id is not in the collection, or was removed.
    """
    for row_id in ids:
        check_id(served, row_id, field)
    rows = json_values.rows(served.collection.take(ids))
    return [_item(row_id, row) for row_id, row in zip(ids, rows, strict=True)]


def check_id(served: ServedCollection, row_id: int, field: str | None = None) -> None:
    """Refuse an id that is not in the collection, or was removed."""
    if row_id not in served.collection:
        raise ApiError(404, "not_found", no_such_row(served, row_id), field)


def _item(row_id: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the names that it has among hits."""
    return {"id": row_id, "url": None, "caption": None} | hit_columns(row)
