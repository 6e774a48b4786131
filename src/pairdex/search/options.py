"""Search options: filter, search space, number of rows and accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from numpy.typing import ArrayLike

from pairdex.errors import InvalidArgument
from pairdex.search.folding import check_fold
from pairdex.search.neighbours import DEFAULT_K, check_k
from pairdex.search.query import Picture, Term

__all__ = ["SearchKeywords", "SearchOptions"]


@dataclass(frozen=True)
class SearchOptions:
    """The options of one search; see `Collection.search`.

    Raises
    ------
    InvalidArgument
        `k`, `offset` or `fold` is out of bounds.
    """

    k: int = DEFAULT_K
    offset: int = 0
    on: str = "image"
    where: str | None = None
    safe: bool = False
    keywords: str | None = None
    fold: float | None = None
    exact: bool = False
    recall: float | None = None

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.offset < 0:
            raise InvalidArgument(
                f"the offset is {self.offset}, expected at least 0", field="offset"
            )
        if self.fold is not None:
            check_fold(self.fold)


class SearchKeywords(TypedDict, total=False):
    """Keyword arguments of `Collection.search`, shared by its overloads."""

    text: str | None
    image: Picture | None
    like: int | None
    vector: ArrayLike | None
    unlike: str | None
    terms: Iterable[Term] | None
    k: int
    offset: int
    on: str
    where: str | None
    safe: bool
    keywords: str | None
    fold: float | None
    exact: bool
    recall: float | None
