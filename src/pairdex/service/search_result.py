"""The result of one search, ready for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pairdex.search import SearchReport

__all__ = ["SearchResult"]


@dataclass(frozen=True)
class SearchResult:
    """The hits of one search, ready for JSON, and the search report."""

    hits: list[dict[str, Any]]
    report: SearchReport

    def as_json(self) -> dict[str, Any]:
        """Return the hits and the facts of the report that every answer has."""
        report = self.report
        return {
            "hits": self.hits,
            "method": report.method,
            "words": list(report.words),
            "total": report.total,
            "next": report.next,
            "note": report.note,
            "exact": report.exact,
        }
