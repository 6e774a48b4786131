"""Convert a caller's question to a query, by the question's type."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL.Image import Image

from pairdex.errors import InvalidArgument
from pairdex.search.picture_names import check_no_picture
from pairdex.search.query import Picture, Query

__all__ = ["Question", "as_query", "is_several"]

Question = Picture | int | NDArray[Any] | Query
"""A text; a picture (path, bytes, PIL image); a row's id; a vector (dim,); a `Query`."""

_EXPECTED = (
    "a text, a picture (Path, bytes or PIL image), the id of a row, a vector (dim,), a Query, "
    "or a list of these"
)


def is_several(question: object) -> bool:
    """Return whether this is several questions: a list, a tuple or vectors (n, dim)."""
    if isinstance(question, np.ndarray):
        return question.ndim == 2
    return isinstance(question, (list, tuple)) and not _is_vector(question)


def as_query(question: object, *, unlike: str | None = None) -> Query:
    """Convert a question to a query.

    Raises
    ------
    InvalidArgument
        The question has an unsupported type, or is a text that names a picture.
    """
    if isinstance(question, Query):
        if unlike is not None:
            raise InvalidArgument("a Query has its own unlike: set it there", field="unlike")
        return question
    if isinstance(question, str):
        check_no_picture(question)
        return Query(text=question, unlike=unlike)
    if isinstance(question, (bytes, os.PathLike, Image)):
        return Query(image=question, unlike=unlike)
    if isinstance(question, (int, np.integer)) and not isinstance(question, bool):
        return Query(like=int(question), unlike=unlike)
    if _is_vector(question):
        return Query(vector=question, unlike=unlike)  # type: ignore[arg-type]
    raise InvalidArgument(
        f"question is a {type(question).__name__}, expected {_EXPECTED}", field="question"
    )


def _is_vector(question: object) -> bool:
    if isinstance(question, (list, tuple)):
        return bool(question) and all(isinstance(each, (float, np.floating)) for each in question)
    if isinstance(question, (pa.Array, pa.ChunkedArray)):
        return bool(pa.types.is_floating(question.type))
    shape = getattr(question, "shape", None)  # also for tensors of other libraries
    return shape is not None and len(shape) == 1
