"""Queries made from requests, with errors that name the field of the request."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from pairdex.encoders.pictures import open_picture
from pairdex.errors import InvalidArgument, PairdexError
from pairdex.search import Query, Term
from pairdex.service.catalogue import ServedCollection
from pairdex.service.errors import ApiError
from pairdex.service.request_models import SearchRequest, TermRequest
from pairdex.store.store import named_ids
from pairdex.wording import counted

__all__ = ["check_model", "no_such_row", "open_image", "opened", "query_of"]


def query_of(served: ServedCollection, asked: SearchRequest) -> Query:
    """Return the query of a request, checked against its collection.

    Raises
    ------
    ApiError
        409, the query needs a model that is not available.
    InvalidArgument
        The row does not exist, the vector has another dimension, a text is empty, or a picture is invalid.
    """
    for field in ("text", "image", "unlike"):
        if getattr(asked, field) is not None:
            check_model(served, field)
    if asked.unlike is not None and not asked.unlike.strip():
        raise InvalidArgument("unlike is empty; give a few words, or omit it", field="unlike")
    if asked.terms is not None:
        if any(each.text is not None or each.image is not None for each in asked.terms):
            check_model(served, "terms")
        return Query(unlike=asked.unlike, terms=[_term(served, each) for each in asked.terms])
    only = _term(served, asked)
    return Query(only.text, only.image, only.like, only.vector, unlike=asked.unlike)


def _term(served: ServedCollection, asked: SearchRequest | TermRequest) -> Term:
    _check_row(served, asked.like)
    return Term(
        text=asked.text,
        image=None if asked.image is None else open_image(asked.image),
        like=asked.like,
        vector=_vector(served, asked.vector),
        weight=asked.weight if isinstance(asked, TermRequest) else 1.0,
    )


def check_model(served: ServedCollection, field: str) -> None:
    """Raise ApiError (409) if the collection's model is not available."""
    if served.no_model is not None:
        message = f"{field} needs the collection's model: {served.no_model}"
        raise ApiError(409, "model_missing", message, field)


def _check_row(served: ServedCollection, row_id: int | None) -> None:
    if row_id is not None and row_id not in served.collection:
        raise InvalidArgument(no_such_row(served, row_id), field="like")


def no_such_row(served: ServedCollection, row_id: int) -> str:
    """Return the message for an id that does not exist or was removed."""
    ids = len(served.collection) + served.collection.removed
    if 0 <= row_id < ids:
        return f"row {row_id} was removed from {served.name}"
    return f"row {row_id} does not exist: {served.name} has {named_ids(ids)}"


def _vector(served: ServedCollection, values: list[float] | None) -> NDArray[np.float32] | None:
    if values is None:
        return None
    if len(values) != served.collection.dim:
        raise InvalidArgument(
            f"the vector has {counted(len(values), 'value')}, expected {served.collection.dim:,} like the "
            f"vectors of {served.name}",
            field="vector",
        )
    return np.array(values, np.float32)


def open_image(encoded: str) -> Image:
    """Open a picture file that was sent in base64."""
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(
            f"image is not valid base64: {error}".lower(), field="image"
        ) from error
    return opened(data, "image")


def opened(data: bytes, field: str) -> Image:
    """Open a picture file; an error names `field`."""
    try:
        return open_picture(BytesIO(data))
    except PairdexError as error:
        raise InvalidArgument(str(error), field=field) from error
