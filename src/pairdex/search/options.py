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

    With `partial`, a search of a cluster answers although shards are missing, and reports them.

    Raises
    ------
    InvalidArgument
        `k`, `offset` or `fold` is out of bounds, or two options contradict each other.
    """

    k: int = DEFAULT_K
    offset: int = 0
    on: str = "image"
    where: str | None = None
    safe: bool = False
    keywords: str | None = None
    hybrid: bool = True
    sort: str | None = None
    descending: bool = False
    after: int | None = None
    fold: float | None = None
    exact: bool = False
    recall: float | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.offset < 0:
            raise InvalidArgument(
                f"the offset is {self.offset}, expected at least 0", field="offset"
            )
        if self.fold is not None:
            check_fold(self.fold)
        if self.keywords is not None and not self.hybrid:
            raise InvalidArgument(
                "keywords ask for a search by words, and hybrid=False for one without; leave out one",
                field="hybrid",
            )
        if self.descending and self.sort is None:
            raise InvalidArgument("descending needs sort: name a column", field="descending")
        if self.after is not None and (self.offset or self.fold is not None):
            raise InvalidArgument(
                "after cannot be combined with offset or fold; use offset alone", field="after"
            )

    @property
    def answers_without_query(self) -> bool:
        """True if keywords, a filter or an order choose rows without a query."""
        return any(value is not None for value in (self.keywords, self.where, self.sort))

    def check_query(self) -> None:
        """Raise InvalidArgument if an option is only for searches without a query."""
        for name in ("sort", "after"):
            if getattr(self, name) is not None:
                raise InvalidArgument(
                    f"{name} is for searches without a query, whose order is not by distance; "
                    f"leave out {name}, or the query",
                    field=name,
                )


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
    hybrid: bool
    sort: str | None
    descending: bool
    after: int | None
    fold: float | None
    exact: bool
    recall: float | None
