"""Shapes of responses, as /openapi.json describes them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pairdex.search import SearchMethod
from pairdex.store.store import VectorField

__all__ = [
    "AtlasColumnResponse",
    "AtlasPlacesResponse",
    "AtlasResponse",
    "CollectionsResponse",
    "ContainsResponse",
    "DuplicateGroup",
    "DuplicatesResponse",
    "ErrorResponse",
    "FacetsResponse",
    "HealthResponse",
    "ItemsResponse",
    "RowItem",
    "SearchResponse",
]


class AtlasRegion(BaseModel):
    """A region of the map and the words that are most typical of its captions."""

    level: int = Field(description="0: one of the few large regions of the map; 1: a smaller one.")
    x: float
    y: float
    points: int
    words: list[str]


class AtlasResponse(BaseModel):
    """The map of a collection: a sample of its rows in the unit square, similar rows close together.

    `ids`, `positions` and `weights` are little-endian numbers in base64, all in the same order of
    points.
    """

    on: VectorField = Field(description="The vectors that the map was computed from.")
    rows: int = Field(description="The number of rows that have a position on the map.")
    points: int
    seed: int
    regions: list[AtlasRegion]
    ids: str = Field(description="float64: the row id of each point.")
    positions: str = Field(description="uint16: x and y of each point, in 65,535ths.")
    weights: str = Field(
        description="uint32: the number of rows placed at each point, including the point's own row."
    )


class AtlasColumnResponse(BaseModel):
    """The values of a column for the points of the map, in the same order."""

    name: str
    type: str
    numbers: str | None = Field(
        description="For numbers and times: float64 in base64, NaN without a value."
    )
    labels: list[str] | None = Field(
        description="For other columns: the most frequent values, at most 8; empty without a value."
    )
    codes: str | None = Field(
        description="uint8 in base64: the place of each point's value in `labels`, 255 for others."
    )


class AtlasPlacesResponse(BaseModel):
    """Positions of rows on the map."""

    places: list[list[float]] = Field(description="x and y, in the order of the ids.")


class RowItem(BaseModel):
    """A row: its id, url, caption, and all other columns of its collection."""

    model_config = ConfigDict(extra="allow")
    id: int
    url: str | None
    caption: str | None


class DuplicateRow(RowItem):
    """A row of a group, with its distance to the kept row; both are null for the kept row itself."""

    distance: float | None = Field(description="1 - cos.")
    similarity: float | None = Field(description="The cosine.")


class DuplicateGroup(BaseModel):
    """Rows that `pairdex dedup` would replace by the first of them."""

    size: int = Field(description="The number of rows of the group, including the kept one.")
    next: int | None = Field(
        None, description="`offset` of the group's next rows, if there are more."
    )
    rows: list[DuplicateRow] = Field(description="The kept row, then the others, nearest first.")


class DuplicatesResponse(BaseModel):
    """Groups of near-duplicates, the largest first; or how far the search for them is."""

    status: Literal["ready", "working"] = Field(
        description="`working`: ask again in a second; only `step`, `done` and `total` have values."
    )
    step: str | None = Field(description="`waiting`, `reading`, `coding` or `comparing`.")
    done: int | None
    total: int | None
    threshold: float
    on: VectorField
    safe: bool = Field(description="Whether only rows known to be safe were compared.")
    groups: int | None = Field(description="The number of groups.")
    dropped: int | None = Field(description="The number of rows that `pairdex dedup` would drop.")
    seconds: float | None = Field(description="How long the search took.")
    next: int | None = Field(description="`offset` of the next groups, if there are more.")
    items: list[DuplicateGroup]


class SearchHit(RowItem):
    """A row that a search found; `similarity` is the cosine.

    If the collection has a column `similarity`, it appears as `pair_similarity`.
    """

    distance: float | None = Field(
        description="Smaller is nearer. 1 - cos (0 to 2); in a PCA projection the squared Euclidean "
        "distance; in a binary sketch the number of bits that differ. Null without a query."
    )
    similarity: float | None
    fused_score: float | None = Field(
        None, description="What orders the hits of a `hybrid` search: the sum of 1 / (60 + rank)."
    )
    vector_rank: int | None = Field(
        None, description="With `hybrid`: the rank by vectors, from 1; null beyond those fused."
    )
    keyword_rank: int | None = Field(
        None,
        description="With `hybrid`: the rank by caption words, from 1; null without the words.",
    )
    keyword_score: float | None = Field(
        None, description="With `keywords`: the caption's BM25 score, which orders the hits."
    )
    folded: list[int] | None = Field(
        None, description="Ids of near-duplicates folded into this hit; only with `fold`."
    )
    vector: list[float] | None = Field(
        None, description="The vector as stored, not scaled to unit length; only with `vectors`."
    )


class SearchWay(BaseModel):
    """A way in which a search could go."""

    name: str = Field(
        description="`graph`, `ivf`: the approximate index, by walks or by lists. `codes`: exact, by codes. `rows`: exact, by comparing "
        "the (allowed) rows themselves. Or the name of a projection."
    )
    microseconds: float | None = Field(
        description="The expected time of a query, without the model; null if not estimated."
    )
    recall: float | None = Field(description="The promised recall; 1 for an exact search.")
    params: str = Field(description="Settings, such as `nprobe=4 rerank=20`.")
    why_not: str | None = Field(description="Why it is not possible; null if it is.")


class SearchChoice(BaseModel):
    """Which way a search took, and why."""

    kind: Literal["own", "other", "unknown", "all"] = Field(
        description="`own`: the query is like the rows. `other`: like the other kind of vectors. "
        "`unknown`: unlike both. `all`: that made no difference."
    )
    queries: int
    taken: str
    because: str
    ways: list[SearchWay]


class SearchResponse(BaseModel):
    """The result of a search, best first."""

    hits: list[SearchHit]
    method: SearchMethod = Field(
        description="What answered. `vectors`: the nearest rows. `hybrid`: vectors and caption words, "
        "fused. `keywords`: caption words alone. `browse`: a filter and an order alone."
    )
    words: list[str] = Field(description="The words of captions that ranked or chose the rows.")
    total: int | None = Field(
        description="With `keywords` and `browse`: the number of rows that match."
    )
    next: int | None = Field(
        description="With `keywords` and `browse`: the `after` of the next page; null on the last."
    )
    note: str | None = Field(description="What limited the answer, for people.")
    exact: bool = Field(
        description="True if no approximate index took part. With `vectors`, no other row is nearer then."
    )
    explain: list[SearchChoice] | None = Field(
        None,
        description="Only with `explain`: the ways of this search; empty if it compared no vectors.",
    )
    missing_shards: list[str] | None = Field(
        None,
        description="Only with `partial`: the shards that did not answer. If there are any, nearer rows may "
        "exist in them, and `exact` is false.",
    )
    on: str = Field(description="What was searched, as in the request.")
    safe: bool = Field(description="True if the search was limited to rows known to be safe.")
    seconds: float = Field(description="Time that the service spent on the search.")


class ItemsResponse(BaseModel):
    """Rows in the order of the requested ids."""

    items: list[RowItem]


class UrlMatch(BaseModel):
    """A URL and the ids of the rows that have it."""

    url: str
    ids: list[int]


class PictureMatch(BaseModel):
    """The row nearest to a picture; null if the collection is empty."""

    id: int | None
    distance: float | None
    contained: bool = Field(description="True if the distance is at most `max_distance`.")


class ContainsResponse(BaseModel):
    """Which of the requested URLs, or whether the picture, is in the collection."""

    urls: list[UrlMatch] | None = Field(description="In the order of the request.")
    image: PictureMatch | None
    seconds: float


class ValueCount(BaseModel):
    """A value and the number of rows that have it."""

    value: str | bool
    count: int


class ColumnFacet(BaseModel):
    """Statistics of one column over the rows that pass the filter."""

    name: str
    type: str
    nulls: int = Field(
        description="Rows without a value; for numbers, rows that are not finite count too."
    )
    values: list[ValueCount] | None = Field(
        description="The 20 most frequent values, for booleans and for text columns with at most "
        "1,000 distinct values."
    )
    distinct: int | None = Field(description="Number of distinct values, if they were counted.")
    least: float | str | None = Field(description="Smallest value; for numbers and times.")
    most: float | str | None = Field(description="Largest value; for numbers and times.")
    quantiles: list[float] | None = Field(
        description="For numbers: the 5th, 25th, 50th, 75th and 95th percentiles."
    )
    histogram: list[int] | None = Field(
        description="For numbers and times: row counts in 24 intervals of equal width from `least` to "
        "`most`."
    )


class FacetsResponse(BaseModel):
    """Column statistics over the rows that pass the filter."""

    rows: int
    counted: int = Field(
        description="Number of rows read: all rows of a collection of up to two million, otherwise "
        "an even sample."
    )
    safe: bool = Field(description="True if only rows known to be safe were counted.")
    columns: list[ColumnFacet]


class ColumnInfo(BaseModel):
    """A column and its Arrow type."""

    name: str
    type: str


class ModelInfo(BaseModel):
    """The model that made the vectors."""

    name: str
    dim: int
    knows: str | None = Field(
        description="What a model of narrow knowledge knows, for people; null for others."
    )


class CollectionInfo(BaseModel):
    """What a collection contains and how it can be searched."""

    name: str
    rows: int
    removed: int = Field(description="Number of removed rows; `rows` does not include them.")
    dim: int
    columns: list[ColumnInfo] = Field(description="Columns that `where` can use, besides `id`.")
    vectors: list[VectorField] = Field(description="Values that `on` accepts, besides projections.")
    indexes: list[VectorField] = Field(
        description="Vectors with an approximate index; searches of the others are exact."
    )
    projections: list[str] = Field(description="Projections that `on` accepts.")
    queries: list[Literal["text", "image", "like", "vector"]] = Field(
        description="Supported kinds of query; text and image need the collection's model."
    )
    model: ModelInfo | None
    examples: list[str] = Field(description="Captions of the collection to search for.")
    captions: bool = Field(description="True if `keywords` can be searched.")
    pictures: bool = Field(description="True if rows have local pictures.")
    safe: bool = Field(
        description="True if safe mode is available: a column says which rows are safe."
    )


class LimitsInfo(BaseModel):
    """The largest values that the service accepts."""

    body_bytes: int
    k: int
    depth: int = Field(description="offset + k")
    ids: int
    text_chars: int


class CollectionsResponse(BaseModel):
    """The collections of the service; the first is the default."""

    collections: list[CollectionInfo]
    limits: LimitsInfo


class HealthResponse(BaseModel):
    """Whether the service is ready."""

    status: Literal["ok", "warming", "failed", "unavailable"] = Field(
        description="`warming` until every collection has answered a search; `failed` if one cannot "
        "be searched; `unavailable` while the files of one are missing or damaged."
    )
    version: str


class ErrorDetail(BaseModel):
    """A code for programs, a message for people, and the field that is wrong, if one is."""

    code: str
    message: str
    field: str | None = None
    request_id: str | None = Field(
        None, description="The same as in the header X-Request-ID and in the log."
    )


class ErrorResponse(BaseModel):
    """Every error response."""

    error: ErrorDetail
