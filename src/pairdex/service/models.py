"""The shapes of requests and answers: checked on the way in, and told to clients by /openapi.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pairdex.encoders.text import MAX_TEXT_CHARS
from pairdex.errors import InvalidArgument
from pairdex.predicate import MAX_PREDICATE_CHARS
from pairdex.search import DEFAULT_K
from pairdex.service.limits import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    MAX_ID,
    MAX_IDS,
    MAX_K,
    MAX_SPACE_CHARS,
    MAX_VECTOR_VALUES,
)
from pairdex.store.store import Kind

__all__ = [
    "Collections",
    "ErrorBody",
    "Health",
    "Hits",
    "Id",
    "Item",
    "Items",
    "ItemsRequest",
    "SearchRequest",
    "Value",
]

_FLOAT32_MAX = 3.4028234663852886e38

Id = Annotated[int, Field(ge=0, le=MAX_ID)]
Value = Annotated[float, Field(ge=-_FLOAT32_MAX, le=_FLOAT32_MAX, allow_inf_nan=False)]
_QUERIES = ("text", "image", "like", "vector")


class _Request(BaseModel):
    """A body: values of exactly the stated types, and no others than the stated fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


class SearchRequest(_Request):
    """What is searched for: exactly one of `text`, `image`, `like` and `vector`."""

    collection: str | None = Field(None, description="Name of a collection; the first by default.")
    text: str | None = Field(None, max_length=MAX_TEXT_CHARS, description="A text.")
    image: str | None = Field(
        None,
        max_length=MAX_BODY_BYTES,
        description="A picture file (JPEG, PNG, WebP, ...) in base64.",
    )
    like: Id | None = Field(None, description="The id of a row: rows like it, without itself.")
    vector: list[Value] | None = Field(
        None,
        min_length=1,
        max_length=MAX_VECTOR_VALUES,
        description="A vector of the collection's dimension, of any length but zero.",
    )
    unlike: str | None = Field(
        None, max_length=MAX_TEXT_CHARS, description="A text to keep away from."
    )
    on: str = Field(
        "image",
        max_length=MAX_SPACE_CHARS,
        description="What is searched: the vectors of pictures (image) or of captions (text), or a "
        "projection of the collection (pca96, hamming).",
    )
    k: int = Field(DEFAULT_K, ge=1, le=MAX_K, description="How many rows to find.")
    offset: int = Field(
        0, ge=0, le=MAX_DEPTH, description="How many of the nearest rows to leave out, for paging."
    )
    where: str | None = Field(
        None,
        max_length=MAX_PREDICATE_CHARS,
        description="A SQL predicate over the columns: only rows that satisfy it are found.",
        examples=["width >= 512 AND nsfw = 'UNLIKELY'"],
    )
    exact: bool = Field(
        True,
        description="Ask for the exact answer; the answer's `exact` says whether it is. "
        "Without an approximate index every answer is.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_addresses(cls, content: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(content, dict) and "image_url" in content:
            raise InvalidArgument(
                "image_url is refused: this service fetches nothing from addresses; "
                "send the picture itself as image, in base64",
                field="image_url",
            )
        return content

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        given = [name for name in _QUERIES if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise InvalidArgument(
                f"search takes exactly one of text, image, like and vector, got {got}",
                field=given[1] if given else "text",
            )
        if self.offset + self.k > MAX_DEPTH:
            raise InvalidArgument(
                f"offset + k is {self.offset + self.k:,}, expected at most {MAX_DEPTH:,}",
                field="offset",
            )
        return self


class ItemsRequest(_Request):
    """Which rows are asked for."""

    collection: str | None = Field(None, description="Name of a collection; the first by default.")
    ids: list[Id] = Field(max_length=MAX_IDS, description="Ids of rows, in the order wanted.")


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


class Hits(BaseModel):
    """The answer to a search, nearest first."""

    hits: list[Hit]
    exact: bool = Field(description="Whether no other row is nearer, by the vectors themselves.")
    space: str = Field(description="What was searched: `on`.")
    seconds: float = Field(description="Time of the search in the service.")


class Items(BaseModel):
    """Rows in the order they were asked for."""

    items: list[Item]


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
