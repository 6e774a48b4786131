"""The shapes of answers, told to clients by /openapi.json."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pairdex.store.store import Kind

__all__ = [
    "AtlasMap",
    "Collections",
    "Contained",
    "ErrorBody",
    "Facets",
    "Health",
    "Hits",
    "Item",
    "Items",
    "Places",
]


class AtlasRegion(BaseModel):
    """A part of the map and what its captions say more often than all others."""

    level: int = Field(description="0: one of the few regions of the whole map; 1: a smaller one.")
    x: float
    y: float
    points: int
    words: list[str]


class AtlasMap(BaseModel):
    """The map of a collection: a sample of its rows in the unit square, near ones near each other.

    `ids`, `positions` and `weights` are little-endian numbers in base64, in one order of points.
    """

    on: Kind = Field(description="Which vectors decided what is near.")
    rows: int = Field(description="Rows that have a place on the map.")
    points: int
    seed: int
    regions: list[AtlasRegion]
    ids: str = Field(description="float64: the row that each point is of.")
    positions: str = Field(description="uint16 x and y of each point, in 65,535ths.")
    weights: str = Field(
        description="uint32: how many rows have their place at the point, itself among them."
    )


class Places(BaseModel):
    """Where rows are on the map."""

    places: list[list[float]] = Field(description="x and y, in the order of the ids.")


class Item(BaseModel):
    """A row: its id, url, caption, and all other columns of its collection."""

    model_config = ConfigDict(extra="allow")
    id: int
    url: str | None
    caption: str | None


class Hit(Item):
    """A row that was found; `similarity` is the cosine.

    A column `similarity` of the collection appears as `pair_similarity`.
    """

    distance: float = Field(
        description="Smaller is nearer: 1 - cos, from 0 to 2; in a PCA projection the squared "
        "Euclidean distance, in a binary sketch the bits that differ."
    )
    similarity: float
    folded: list[int] | None = Field(
        None, description="The ids of near-duplicates that came later; with `fold` only."
    )
    vector: list[float] | None = Field(
        None, description="As stored, of any length; with `vectors` only."
    )


class Hits(BaseModel):
    """The answer to a search, nearest first."""

    hits: list[Hit]
    exact: bool = Field(description="Whether no other row is nearer, by the vectors themselves.")
    space: str = Field(description="What was searched: `on`.")
    safe: bool = Field(description="Whether only rows that are known to be safe were searched.")
    seconds: float = Field(description="Time of the search in the service.")


class Items(BaseModel):
    """Rows in the order they were asked for."""

    items: list[Item]


class UrlFound(BaseModel):
    """A URL and the rows that have it."""

    url: str
    ids: list[int]


class PictureFound(BaseModel):
    """The row that is nearest to a picture; nulls where the collection is empty."""

    id: int | None
    distance: float | None
    contained: bool = Field(description="Whether it is within the distance that was asked for.")


class Contained(BaseModel):
    """What of it is in the collection."""

    urls: list[UrlFound] | None = Field(description="In the order asked for.")
    image: PictureFound | None
    seconds: float


class FacetValue(BaseModel):
    """A value and how many rows have it."""

    value: str | bool
    count: int


class Facet(BaseModel):
    """What a column holds among the rows that qualify."""

    name: str
    type: str
    nulls: int = Field(
        description="Rows without a value; of numbers also those that are not finite."
    )
    values: list[FacetValue] | None = Field(
        description="Of texts of at most 1,000 values, and of booleans: the 20 most frequent."
    )
    distinct: int | None = Field(description="How many values there are, where they were counted.")
    least: float | str | None = Field(description="Of numbers and times.")
    most: float | str | None
    quantiles: list[float] | None = Field(
        description="Of numbers: the values below which lie 5, 25, 50, 75 and 95 % of the rows."
    )


class Facets(BaseModel):
    """What the columns hold among the rows that satisfy the filter."""

    rows: int
    counted: int = Field(
        description="How many of the rows were looked at: all of a collection of up to two million, "
        "else an even sample."
    )
    safe: bool = Field(description="Whether only rows that are known to be safe were counted.")
    columns: list[Facet]


class Column(BaseModel):
    """A column and its Arrow type."""

    name: str
    type: str


class ModelName(BaseModel):
    """The model that made the vectors."""

    name: str
    dim: int


class CollectionInfo(BaseModel):
    """What a collection holds and how it can be searched."""

    name: str
    rows: int
    removed: int = Field(description="How many more ids there are, of rows that were removed.")
    dim: int
    columns: list[Column] = Field(description="What `where` can speak of, besides `id`.")
    vectors: list[Kind] = Field(description="What `on` can be, besides projections.")
    projections: list[str] = Field(description="Projections that `on` can name.")
    queries: list[Literal["text", "image", "like", "vector"]] = Field(
        description="What can be searched for; text and image need the collection's model."
    )
    model: ModelName | None
    examples: list[str] = Field(description="Texts to try.")
    pictures: bool = Field(description="Whether rows have a local picture.")
    safe: bool = Field(
        description="Whether it has safe mode: a column that says which rows are safe."
    )


class Limits(BaseModel):
    """What the service takes at most."""

    body_bytes: int
    k: int
    depth: int = Field(description="offset + k")
    ids: int
    text_chars: int


class Collections(BaseModel):
    """The collections of the service, the default first."""

    collections: list[CollectionInfo]
    limits: Limits


class Health(BaseModel):
    """Whether the service is ready."""

    status: Literal["ok", "warming", "failed"] = Field(
        description="`warming` until every collection has answered a search."
    )
    version: str


class Error(BaseModel):
    """What is wrong: a code for machines, a message for people, and the field where there is one."""

    code: str
    message: str
    field: str | None = None
    request_id: str | None = Field(
        None, description="As in the header X-Request-ID and in the log."
    )


class ErrorBody(BaseModel):
    """Every error."""

    error: Error
