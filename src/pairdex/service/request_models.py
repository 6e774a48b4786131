"""Shapes of requests: bodies are checked against them, and /openapi.json describes them."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pairdex.curate.near_duplicates import DEFAULT_THRESHOLD
from pairdex.encoders.text import MAX_TEXT_CHARS
from pairdex.errors import InvalidArgument
from pairdex.predicate import MAX_PREDICATE_CHARS
from pairdex.search import DEFAULT_K, MAX_TERMS, MAX_WEIGHT, SearchOptions
from pairdex.search.folding import MAX_FOLD
from pairdex.service.limits import (
    MAX_BODY_BYTES,
    MAX_COLUMN_CHARS,
    MAX_DEPTH,
    MAX_DUPLICATE_GROUP_ROWS,
    MAX_DUPLICATE_GROUPS,
    MAX_DUPLICATE_THRESHOLD,
    MAX_FETCH_URL_CHARS,
    MAX_ID,
    MAX_IDS,
    MAX_K,
    MAX_KEYWORDS_CHARS,
    MAX_ON_CHARS,
    MAX_URL_CHARS,
    MAX_VECTOR_VALUES,
)
from pairdex.store.store import VectorField

__all__ = [
    "ContainsRequest",
    "DownloadRequest",
    "DuplicateGroupRequest",
    "DuplicatesRequest",
    "FacetsRequest",
    "Id",
    "ItemsRequest",
    "SearchRequest",
    "TermRequest",
    "Value",
]

_FLOAT32_MAX = 3.4028234663852886e38
_QUERIES = ("text", "image", "like", "vector")
_SEARCHES = ("text", "image", "image_url", "like", "vector", "terms")
_NO_SEARCH = (None,) * len(_SEARCHES)
_searches_of = attrgetter(*_SEARCHES)

Id = Annotated[int, Field(ge=0, le=MAX_ID)]
Value = Annotated[float, Field(ge=-_FLOAT32_MAX, le=_FLOAT32_MAX, allow_inf_nan=False)]
CollectionName = Annotated[
    str | None, Field(description="Name of a collection; default: the first.")
]
Text = Annotated[str | None, Field(max_length=MAX_TEXT_CHARS, description="A text.")]
Picture = Annotated[
    str | None,
    Field(
        max_length=MAX_BODY_BYTES, description="A picture file (JPEG, PNG, WebP, ...) in base64."
    ),
]
Like = Annotated[
    Id | None, Field(description="Id of a row: finds similar rows, without the row itself.")
]
Vector = Annotated[
    list[Value] | None,
    Field(
        min_length=1,
        max_length=MAX_VECTOR_VALUES,
        description="A vector of the collection's dimension; need not have unit length, but not all zeros.",
    ),
]
Where = Annotated[
    str | None,
    Field(
        max_length=MAX_PREDICATE_CHARS,
        description="A SQL predicate over the columns: only rows that match it are found.",
        examples=["width >= 512 AND nsfw = 'UNLIKELY'"],
    ),
]
Safe = Annotated[
    bool | None,
    Field(
        description="Find only rows known to be safe. Default: true if the collection has a column "
        "punsafe or nsfw that says so."
    ),
]
Keywords = Annotated[
    str | None,
    Field(
        max_length=MAX_KEYWORDS_CHARS,
        description="Words that captions should contain. A quoted phrase must appear; a word after - "
        "must not.",
        examples=['dog "red car" -cat'],
    ),
]


class _StrictRequest(BaseModel):
    """A body with values of exactly the declared types, and without other fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


class TermRequest(_StrictRequest):
    """A weighted term: exactly one of `text`, `image`, `like` and `vector`."""

    text: Text = None
    image: Picture = None
    like: Like = None
    vector: Vector = None
    weight: float = Field(
        1.0,
        ge=-MAX_WEIGHT,
        le=MAX_WEIGHT,
        allow_inf_nan=False,
        description="Not 0. A negative weight moves the results away from the term.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_addresses(cls, content: Any) -> Any:  # noqa: ANN401 - any JSON
        return _without_address(content)

    @model_validator(mode="after")
    def _one_thing(self) -> TermRequest:
        _check_one("a term", self, _QUERIES, "terms")
        if self.weight == 0:
            raise InvalidArgument(
                "the weight of a term is 0: omit the term, or use another weight", field="terms"
            )
        return self


class SearchRequest(_StrictRequest):
    """A search: one of `text`, `image`, `image_url`, `like`, `vector` and `terms`.

    Without any of them, `keywords`, `where` and `sort` choose and order the rows.
    """

    collection: CollectionName = None
    text: Text = None
    image: Picture = None
    image_url: str | None = Field(
        None,
        max_length=MAX_FETCH_URL_CHARS,
        description="URL of a picture; refused unless the service may fetch from its host.",
    )
    like: Like = None
    vector: Vector = None
    terms: list[TermRequest] | None = Field(
        None,
        min_length=1,
        max_length=MAX_TERMS,
        description="Several weighted terms; unwanted ones have negative weights.",
    )
    unlike: str | None = Field(None, max_length=MAX_TEXT_CHARS, description="A text to avoid.")
    on: str = Field(
        "image",
        max_length=MAX_ON_CHARS,
        description="What to search: the vectors of pictures (image) or of captions (text), or a "
        "projection of the collection (pca96, hamming).",
    )
    k: int = Field(DEFAULT_K, ge=1, le=MAX_K, description="Number of rows to find.")
    offset: int = Field(
        0, ge=0, le=MAX_DEPTH, description="Number of nearest rows to skip, for paging."
    )
    where: Where = None
    safe: Safe = None
    keywords: Keywords = None
    hybrid: bool = Field(
        True,
        description="Also rank a text by the captions that contain its words. False: by vectors alone.",
    )
    sort: str | None = Field(
        None,
        max_length=MAX_COLUMN_CHARS,
        description="Without a query: the column that orders the rows, or `id`. Equal values are "
        "ordered by id; rows without a value come last.",
        examples=["width"],
    )
    descending: bool = Field(False, description="Reverse the order of `sort`.")
    after: Id | None = Field(
        None,
        description="Without a query: the `next` of the page before, for endless scrolling. Unlike "
        "`offset`, it has no limit, and removed rows do not shift the pages.",
    )
    fold: float | None = Field(
        None,
        ge=0,
        le=MAX_FOLD,
        allow_inf_nan=False,
        description="Fold rows within this cosine distance of an earlier hit into that hit, whose "
        "`folded` lists their ids. Use 0.06 for near-duplicates.",
    )
    vectors: bool = Field(False, description="Include the stored vector of each hit.")
    exact: bool = Field(
        False,
        description="Ignore the approximate index; search exactly. `exact` in the response says "
        "whether the result is exact.",
    )
    partial: bool = Field(
        False,
        description="With a service on a cluster: answer although shards are missing, instead of with "
        "status 503. `missing_shards` in the response names them.",
    )
    explain: bool = Field(
        False,
        description="Say which ways the search had, what each was expected to cost and reach, and why "
        "one was taken.",
    )

    @property
    def has_query(self) -> bool:
        """Whether rows are compared with something; otherwise keywords, a filter or an order choose them."""
        return _searches_of(self) != _NO_SEARCH

    @property
    def goes_alone(self) -> bool:
        """Whether the search cannot be batched with others."""
        if not self.has_query:
            return True
        has_pictures = any(each.image is not None for each in (self, *(self.terms or ())))
        return has_pictures or self.keywords is not None or self.fold is not None

    @property
    def _chooses_rows(self) -> bool:
        return any(value is not None for value in (self.keywords, self.where, self.sort))

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        if self.has_query or self.unlike is not None or not self._chooses_rows:
            _check_one("search", self, _SEARCHES)
        if self.offset + self.k > MAX_DEPTH:
            raise InvalidArgument(
                f"offset + k is {self.offset + self.k:,}, expected at most {MAX_DEPTH:,}",
                field="offset",
            )
        self._check_order()
        return self

    def _check_order(self) -> None:
        options = SearchOptions(
            offset=self.offset,
            sort=self.sort,
            descending=self.descending,
            after=self.after,
            fold=self.fold,
        )
        if self.has_query:
            options.check_query()


class DownloadRequest(SearchRequest):
    """A search whose hits are returned as a file."""

    k: int = Field(DEFAULT_K, ge=1, le=MAX_DEPTH, description="Number of rows to find.")
    format: Literal["jsonl", "csv", "parquet", "urls"] = Field(
        description="JSON lines, CSV, Parquet, or only the URLs, for img2dataset's txt."
    )

    @model_validator(mode="after")
    def _whole(self) -> DownloadRequest:
        if self.partial:
            raise InvalidArgument(
                "a file cannot say which shards are missing in it: leave out partial",
                field="partial",
            )
        return self


class FacetsRequest(_StrictRequest):
    """The rows whose column statistics are requested."""

    collection: CollectionName = None
    where: Where = None
    safe: Safe = None
    keywords: Keywords = None


class ContainsRequest(_StrictRequest):
    """What to look up in the collection: exactly one of `urls` and `image`."""

    collection: CollectionName = None
    urls: list[Annotated[str, Field(max_length=MAX_URL_CHARS)]] | None = Field(
        None,
        max_length=MAX_IDS,
        description="URLs, compared exactly except for surrounding spaces.",
    )
    image: Picture = None
    max_distance: float = Field(
        DEFAULT_THRESHOLD,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="Largest distance (1 - cos) at which the nearest row counts as the same picture.",
    )

    @model_validator(mode="after")
    def _one_thing(self) -> ContainsRequest:
        _check_one("contains", self, ("urls", "image"), "urls")
        return self


class ItemsRequest(_StrictRequest):
    """Ids of the requested rows."""

    collection: CollectionName = None
    ids: list[Id] = Field(
        max_length=MAX_IDS, description="Ids of rows, in the order of the response."
    )


class _DuplicatesRequest(BaseModel):
    """Which near-duplicates, in the address."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName = None
    threshold: float = Field(
        DEFAULT_THRESHOLD,
        ge=0,
        le=MAX_DUPLICATE_THRESHOLD,
        description="Largest distance, 1 - cos, between near-duplicates; a multiple of 0.01.",
    )
    on: VectorField = Field("image", description="The vectors that are compared.")
    safe: bool | None = Field(
        None,
        description="Compare only rows known to be safe. Default: true if the collection has them.",
    )
    offset: Id = 0


class DuplicatesRequest(_DuplicatesRequest):
    """Which groups of near-duplicates."""

    k: int = Field(12, ge=1, le=MAX_DUPLICATE_GROUPS, description="Number of groups.")
    rows: int = Field(
        8, ge=1, le=MAX_DUPLICATE_GROUP_ROWS, description="The first rows of each group."
    )


class DuplicateGroupRequest(_DuplicatesRequest):
    """Which rows of a group of near-duplicates."""

    k: int = Field(MAX_K, ge=1, le=MAX_K, description="Number of rows.")


def _without_address(content: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a body unchanged; raise InvalidArgument if it has a field image_url."""
    if isinstance(content, dict) and "image_url" in content:
        raise InvalidArgument(
            "image_url is refused in terms: send the picture itself as image, in base64",
            field="image_url",
        )
    return content


def _check_one(
    what: str, request: _StrictRequest, names: tuple[str, ...], field: str | None = None
) -> None:
    given = [name for name in names if getattr(request, name) is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        otherwise = ", or keywords, where or sort alone" if names is _SEARCHES else ""
        raise InvalidArgument(
            f"{what} takes exactly one of {', '.join(names[:-1])} and {names[-1]}{otherwise}, got {got}",
            field=field or (given[1] if given else "text"),
        )
