"""What a service answers, as Python values; what is no answer, as an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import httpx

from pairdex.errors import ServiceFailed
from pairdex.store.row_html import MAX_CARDS, Pictures, grid
from pairdex.wording import counted, duration

__all__ = [
    "Contained",
    "Hit",
    "PictureFound",
    "SearchAnswer",
    "as_contained",
    "as_search_answer",
    "content_of",
    "refusal",
    "unreachable",
]

_UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Hit:
    """A found row; `columns` holds all other columns.

    `distance` and `similarity` are None if no vectors were compared. `fused_score`, `vector_rank`,
    `keyword_rank` and `keyword_score` explain the order of a search that used keywords.
    """

    id: int
    distance: float | None
    similarity: float | None
    url: str | None = None
    caption: str | None = None
    folded: list[int] | None = None
    vector: list[float] | None = None
    fused_score: float | None = None
    vector_rank: int | None = None
    keyword_rank: int | None = None
    keyword_score: float | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchAnswer:
    """Search results, best first.

    Attributes
    ----------
    method
        What answered: `vectors`, `hybrid`, `keywords` or `browse`.
    words
        The words of captions that ranked or chose the rows.
    total
        With `keywords` and `browse`: the number of rows that match.
    next
        With `keywords` and `browse`: the `after` of the next page; None on the last.
    note
        What limited the answer; None if nothing did.
    explain
        With `explain`: which ways the search had, and why one was taken, as docs/service.md describes.
    missing_shards
        With `partial`: the shards that did not answer; nearer rows may exist in them.
    """

    hits: list[Hit]
    exact: bool
    on: str
    safe: bool
    seconds: float
    method: str
    words: list[str]
    total: int | None
    next: int | None
    note: str | None
    explain: list[dict[str, Any]] | None = None
    missing_shards: list[str] | None = None

    def _repr_html_(self) -> str:
        """Return the captions and links of the first rows as a grid; nothing is fetched."""
        exactly = "exact" if self.exact else "approximate"
        how = exactly if self.method == "vectors" else self.method
        title = f"{counted(len(self.hits), 'row')}, {how}, {duration(self.seconds)}"
        rows = ({**hit.columns, **vars(hit)} for hit in self.hits[:MAX_CARDS])
        return grid(rows, Pictures(None), title=title)


@dataclass(frozen=True)
class PictureFound:
    """The row nearest to a picture, and whether it is near enough to count as the same."""

    id: int | None
    distance: float | None
    contained: bool


@dataclass(frozen=True)
class Contained:
    """The matches in the collection: the row ids of each URL, or the row nearest to the picture."""

    urls: dict[str, list[int]] | None
    image: PictureFound | None


def as_search_answer(answer: dict[str, Any]) -> SearchAnswer:
    """Convert the answer of POST /api/search."""
    if_asked = {"explain", "missing_shards"}
    names = {each.name for each in fields(SearchAnswer)} - {"hits", *if_asked}
    facts = {name: answer[name] for name in names} | {name: answer.get(name) for name in if_asked}
    return SearchAnswer(hits=[_hit(row) for row in answer["hits"]], **facts)


def as_contained(answer: dict[str, Any]) -> Contained:
    """Convert the answer of POST /api/contains."""
    rows, picture = answer["urls"], answer["image"]
    return Contained(
        None if rows is None else {each["url"]: each["ids"] for each in rows},
        None if picture is None else PictureFound(**picture),
    )


def content_of(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a response, whatever its status.

    Raises
    ------
    ServiceFailed
        The response is not a JSON object.
    """
    try:
        answer = response.json()
    except ValueError as error:
        raise _not_ours(response) from error
    if not isinstance(answer, dict):
        raise _not_ours(response)
    return answer


def refusal(response: httpx.Response) -> ServiceFailed:
    """Return the error that a response describes, in the service's words."""
    try:
        error = response.json()["error"]
        return ServiceFailed(
            error["message"],
            status=response.status_code,
            reason=error["code"],
            field=error.get("field"),
        )
    except (ValueError, KeyError, TypeError):
        return _not_ours(response)


def unreachable(url: str, error: Exception) -> ServiceFailed:
    """Return the error for a request without an answer."""
    reason = str(error) or type(error).__name__
    return ServiceFailed(
        f"no answer from {url}: {reason}; is pairdex serve running there?",
        status=0,
        reason=_UNAVAILABLE,
    )


def _hit(row: dict[str, Any]) -> Hit:
    own = {each.name for each in fields(Hit)} - {"columns"}
    columns = {name: value for name, value in row.items() if name not in own}
    return Hit(**{name: row[name] for name in own & row.keys()}, columns=columns)


def _not_ours(response: httpx.Response) -> ServiceFailed:
    return ServiceFailed(
        f"{response.url} answered {response.status_code} and not as pairdex does; "
        "is another program there?",
        status=response.status_code,
        reason=_UNAVAILABLE,
    )
