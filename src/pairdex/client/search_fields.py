"""The fields of a search request with their types, and as parameters of the functions that take them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypedDict, TypeVar

from numpy.typing import NDArray

from pairdex.arguments import StrPath
from pairdex.search.query import Term

__all__ = ["Question", "SearchFields", "TermFields", "with_search_fields"]

P = ParamSpec("P")
R = TypeVar("R")

Question = str | os.PathLike[str] | bytes | int | Sequence[float] | NDArray[Any]
"""A str is a text; a path or bytes are a picture; an int is the id of a row; numbers are a vector."""


class TermFields(TypedDict, total=False):
    """A weighted term: exactly one of text, image, like and vector, and its weight (default 1)."""

    text: str
    image: bytes | StrPath
    like: int
    vector: Sequence[float] | NDArray[Any]
    weight: float


class SearchFields(TypedDict, total=False):
    """The fields of POST /api/search; docs/service.md describes them."""

    text: str | None
    image: bytes | StrPath | None
    image_url: str | None
    like: int | None
    vector: Sequence[float] | NDArray[Any] | None
    terms: Sequence[TermFields | Term] | None
    unlike: str | None
    on: str | None
    k: int | None
    offset: int | None
    where: str | None
    safe: bool | None
    keywords: str | None
    hybrid: bool | None
    sort: str | None
    descending: bool | None
    after: int | None
    fold: float | None
    vectors: bool | None
    exact: bool | None
    partial: bool | None
    explain: bool | None
    collection: str | None


def with_search_fields(function: Callable[P, R]) -> Callable[P, R]:
    """List the search fields in the signature that `help` and editors show, instead of `**fields`."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    listed = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in SearchFields.__annotations__.items()
    ]
    function.__signature__ = signature.replace(parameters=own + listed)  # type: ignore[attr-defined]
    return function
