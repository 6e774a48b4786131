"""The work behind the routes, for worker threads: searching, reading rows, drawing thumbnails."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from pairdex import json_values
from pairdex.encoders.pictures import open_picture
from pairdex.errors import InvalidArgument, PairdexError
from pairdex.search import Query
from pairdex.service.catalogue import Served
from pairdex.service.errors import Refused
from pairdex.service.models import SearchRequest

__all__ = [
    "FIRST",
    "check_id",
    "check_model",
    "find",
    "hit_columns",
    "opened",
    "query_of",
    "read_rows",
]

# What every hit has, first of its columns; a collection without such a column gives null.
FIRST = {"id": None, "distance": None, "similarity": None, "url": None, "caption": None}


def query_of(served: Served, asked: SearchRequest) -> Query:
    """Return what a request searches for.

    Raises
    ------
    Refused
        409, texts and pictures cannot be searched for, since the model is not at hand.
    PairdexError
        A value of the request cannot be used.
    """
    for field in ("text", "image", "unlike"):
        if getattr(asked, field) is not None:
            check_model(served, field)
    _check_row(served, asked.like)
    if asked.unlike is not None and not asked.unlike.strip():
        raise InvalidArgument("unlike is empty; give a few words, or leave it out", field="unlike")
    return Query(
        text=asked.text,
        image=_picture(asked.image),
        like=asked.like,
        vector=_vector(served, asked.vector),
        unlike=asked.unlike,
    )


def find(served: Served, asked: SearchRequest) -> tuple[list[dict[str, Any]], bool]:
    """Return the hits of a search that goes by itself, and whether they are exact; raises as `query_of`."""
    found = served.collection.hits(
        query_of(served, asked), k=asked.k, offset=asked.offset, on=asked.on, where=asked.where
    )
    return [FIRST | row for row in json_values.rows(found.table)], found.report.exact


def read_rows(served: Served, ids: list[int], field: str | None = None) -> list[dict[str, Any]]:
    """Return all columns of rows, in the order of `ids`.

    Raises
    ------
    Refused
        404, an id is not in the collection, or was removed.
    """
    for row_id in ids:
        check_id(served, row_id, field)
    rows = json_values.rows(served.collection.take(ids))
    return [_item(row_id, row) for row_id, row in zip(ids, rows, strict=True)]


def check_id(served: Served, row_id: int, field: str | None = None) -> None:
    """Refuse an id that is not in the collection, or was removed."""
    if row_id not in served.collection:
        raise Refused(404, "not_found", _no_such_row(served, row_id), field)


def _item(row_id: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the names that it has among hits."""
    return {"id": row_id, "url": None, "caption": None} | hit_columns(row)


def hit_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row's columns under the names that they have among hits."""
    if "similarity" not in row:
        return row
    return {("pair_similarity" if name == "similarity" else name): row[name] for name in row}


def check_model(served: Served, field: str) -> None:
    """Refuse a text or a picture where the collection's model is not at hand."""
    if served.no_model is not None:
        message = f"{field} needs the collection's model: {served.no_model}"
        raise Refused(409, "model_missing", message, field)


def _check_row(served: Served, row_id: int | None) -> None:
    if row_id is not None and row_id not in served.collection:
        raise InvalidArgument(_no_such_row(served, row_id), field="like")


def _no_such_row(served: Served, row_id: int) -> str:
    ids = len(served.collection) + served.collection.removed
    if 0 <= row_id < ids:
        return f"there is no row {row_id} any more: it was removed from {served.name}"
    return f"there is no row {row_id}: {served.name} has the ids 0 to {ids - 1}"


def _vector(served: Served, values: list[float] | None) -> NDArray[np.float32] | None:
    if values is None:
        return None
    if len(values) != served.collection.dim:
        raise InvalidArgument(
            f"the vector has {len(values):,} values, expected {served.collection.dim:,}, "
            f"as the vectors of {served.name}",
            field="vector",
        )
    return np.array(values, np.float32)


def _picture(encoded: str | None) -> Image | None:
    if encoded is None:
        return None
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"image is no base64: {error}".lower(), field="image") from error
    return opened(data, "image")


def opened(data: bytes, field: str) -> Image:
    """Return the picture that a file holds; what is wrong with it is the field's fault."""
    try:
        return open_picture(BytesIO(data))
    except PairdexError as error:
        raise InvalidArgument(str(error), field=field) from error
