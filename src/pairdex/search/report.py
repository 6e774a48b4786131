"""The report of a search: which method answered, with which words, and how exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pairdex.knn import cosine

__all__ = ["SearchMethod", "SearchReport"]

SearchMethod = Literal["vectors", "hybrid", "keywords", "browse"]
"""`vectors`: nearest rows. `hybrid`: vectors and caption words, fused. `keywords`: caption words alone.
`browse`: a filter and an order alone."""


@dataclass(frozen=True)
class SearchReport(cosine.Report):
    """How a search ran.

    For `hybrid`, the counts and `exact` describe the ranking by vectors that was fused. For `keywords`
    and `browse`, which compare no vectors, the counts are 0 and `exact` is true. `certified` is true only
    for `vectors`.

    Attributes
    ----------
    method
        The method that answered.
    words
        The words of captions that ranked or chose the rows.
    total
        Number of rows that match; None where a search ranks all rows.
    next
        The `after` of the next page; None if this page is the last, or the search goes by offset.
    note
        What limited the answer, for people; None if nothing did.
    """

    method: SearchMethod = "vectors"
    words: tuple[str, ...] = ()
    total: int | None = None
    next: int | None = None
    note: str | None = None

    @classmethod
    def of(
        cls,
        report: cosine.Report,
        method: SearchMethod = "vectors",
        words: tuple[str, ...] = (),
        note: str | None = None,
    ) -> SearchReport:
        """Return the report of a comparison of vectors with its method and words."""
        if isinstance(report, SearchReport):
            return report
        facts = vars(report) | {"certified": report.certified and method == "vectors"}
        return cls(**facts, method=method, words=words, note=note)

    def with_missing(self, shards: tuple[str, ...]) -> SearchReport:
        """Return the report of a search for which these shards did not answer either."""
        missing = tuple(dict.fromkeys((*self.missing, *shards)))
        return replace(self, missing=missing, exact=self.exact and not missing)

    @classmethod
    def without_vectors(
        cls,
        method: SearchMethod,
        words: tuple[str, ...],
        *,
        total: int,
        next: int | None = None,  # noqa: A002 - the attribute's name
    ) -> SearchReport:
        """Return the report of a search that compared no vectors."""
        return cls(0, 0, 0, certified=False, method=method, words=words, total=total, next=next)
