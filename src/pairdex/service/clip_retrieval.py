"""The routes of clip-retrieval's back end, so that its ClipClient and clip-front work unchanged.

They follow clip_back.py and clip_client.py of clip-retrieval 2.45.0 (github.com/rom1504/clip-retrieval).
Options that a collection does not support are refused, unless ClipClient sends them by default: the
response header `X-Pairdex-Not-Applied` names those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from starlette.responses import Response

from pairdex.encoders.text import MAX_TEXT_CHARS
from pairdex.errors import InvalidArgument
from pairdex.search import Query, safe_filter
from pairdex.service import limits, lookup, queries
from pairdex.service.answers import answer
from pairdex.service.catalogue import ServedCollection
from pairdex.service.request_models import Id, SearchRequest, Value
from pairdex.service.searches import Searches
from pairdex.service.service_route import parsed

__all__ = [
    "NOT_APPLIED",
    "KnnHit",
    "KnnRequest",
    "MetadataRequest",
    "RowMetadata",
    "indices_list",
    "knn_service",
    "metadata",
]

NOT_APPLIED = "X-Pairdex-Not-Applied"
DUPLICATE_COSINE = 0.94  # clip-retrieval treats rows above it as duplicates
CLIENT_AESTHETIC = (9, 0.5)  # score and weight that ClipClient sends by default
_MAX_AESTHETIC = 10  # upper end of LAION's score

Model = TypeVar("Model", bound=BaseModel)


def _not_empty(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return None if value == "" else value


def _number(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the number in a text, as clip-front sends it; None if the text is empty."""
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value.strip() else None
    except ValueError:
        return value


Text = Annotated[str | None, BeforeValidator(_not_empty)]
Score = Annotated[
    float | None,
    BeforeValidator(_number),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}),
]


class KnnRequest(BaseModel):
    """A search by clip-retrieval's clients: exactly one of text, image, image_url and embedding_input."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: Text = Field(None, max_length=MAX_TEXT_CHARS)
    image: Text = Field(None, max_length=limits.MAX_BODY_BYTES, description="A picture in base64.")
    image_url: Text = Field(
        None,
        max_length=limits.MAX_FETCH_URL_CHARS,
        description="ApiError unless the service may fetch it.",
    )
    embedding_input: list[Value] | None = Field(
        None, min_length=1, max_length=limits.MAX_VECTOR_VALUES
    )
    modality: Literal["image", "text"] = "image"
    num_images: int = Field(ge=1, le=limits.MAX_K, description="Number of rows with metadata.")
    num_result_ids: int | None = Field(
        None,
        ge=1,
        le=limits.MAX_RESULT_IDS,
        description="Total number of rows; default: num_images.",
    )
    indice_name: Text = Field(None, description="Name of a collection; default: the first.")
    use_mclip: bool = False
    deduplicate: bool = False
    use_safety_model: bool = False
    use_violence_detector: bool = False
    aesthetic_score: Score = Field(None, ge=0, le=_MAX_AESTHETIC)
    aesthetic_weight: Score = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _one_query(self) -> KnnRequest:
        names = ("text", "image", "image_url", "embedding_input")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise InvalidArgument(
                f"a search takes exactly one of {', '.join(names[:-1])} and {names[-1]}, got {got}",
                field=given[1] if given else "text",
            )
        if self.use_mclip:
            raise InvalidArgument(
                "use_mclip is refused: the collection's own model encodes texts; omit it",
                field="use_mclip",
            )
        return self


class MetadataRequest(BaseModel):
    """Ids of rows whose metadata is requested."""

    model_config = ConfigDict(strict=True, extra="forbid")

    ids: list[Id] = Field(max_length=limits.MAX_IDS)
    indice_name: Text = Field(None, description="Name of a collection; default: the first.")


class KnnHit(BaseModel):
    """A row that was found, with all its columns for the first num_images rows."""

    model_config = ConfigDict(extra="allow")
    id: int
    similarity: float


class RowMetadata(BaseModel):
    """A row and its columns."""

    id: int
    metadata: dict[str, Any]


async def knn_service(request: Request) -> Response:
    """Search as clip-retrieval's back end does."""
    asked = await _checked(request, KnnRequest)
    served = request.app.state.catalogue.pick(asked.indice_name, "indice_name")
    served.collection.finder.store.check_cosine("clip-retrieval's API")
    where, ignored = _conditions(served, asked)
    query = await _query(request, served, asked)
    searches: Searches = request.app.state.searches
    n = max(asked.num_result_ids or asked.num_images, asked.num_images)
    found = await searches.find(
        served, query, on=asked.modality, where=where, k=n, offset=0, exact=False
    )
    work = partial(_ordered, served, asked, found.hits)
    hits = await request.app.state.workers.run(work)
    rows = [
        {name: value for name, value in hit.items() if name != "distance"}
        if place < asked.num_images
        else {"id": hit["id"], "similarity": hit["similarity"]}
        for place, hit in enumerate(hits)
    ]
    return answer(rows, headers={NOT_APPLIED: ", ".join(ignored)} if ignored else None)


async def metadata(request: Request) -> Response:
    """Return the metadata of rows as clip-retrieval's back end does."""
    asked = await _checked(request, MetadataRequest)
    served = request.app.state.catalogue.pick(asked.indice_name, "indice_name")
    rows = await request.app.state.workers.run(partial(lookup.read_rows, served, asked.ids, "ids"))
    return answer([{"id": row.pop("id"), "metadata": row} for row in rows])


async def indices_list(request: Request) -> Response:
    """Return the names of the collections."""
    return answer([served.name for served in request.app.state.catalogue.available()])


async def _checked(request: Request, model: type[Model]) -> Model:
    """Parse a body into a model, whatever its content type: ClipClient sends none."""
    body = await request.body()
    try:
        return model.model_validate(parsed(body))
    except ValidationError as error:
        problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(problems) from error
    except RecursionError as error:
        raise InvalidArgument("the body is nested too deeply") from error
    except ValueError as error:
        place, reason = getattr(error, "pos", 0), getattr(error, "msg", "invalid text")
        problems = [{"type": "json_invalid", "loc": ("body", place), "ctx": {"error": reason}}]
        raise RequestValidationError(problems) from error


async def _query(request: Request, served: ServedCollection, asked: KnnRequest) -> Query:
    """Return the query; a picture is fetched if necessary, and encoded."""
    if asked.image_url is not None:
        fetch = partial(request.app.state.fetcher.fetch, asked.image_url)
        data = await request.app.state.fetchers.run(fetch)
        queries.check_model(served, "image_url")
        work = partial(_of_picture, served, data, asked.modality)
        return Query(vector=await request.app.state.workers.run(work))
    given = {"text": asked.text, "image": asked.image, "vector": asked.embedding_input}
    same = SearchRequest.model_validate(
        {"on": asked.modality, **{name: one for name, one in given.items() if one is not None}}
    )
    if asked.image is None:
        return queries.query_of(served, same)
    work = partial(_encoded, served, same)
    return Query(vector=await request.app.state.workers.run(work))


def _encoded(served: ServedCollection, asked: SearchRequest) -> NDArray[np.float32]:
    return served.collection.query_vector(queries.query_of(served, asked), on=asked.on)


def _of_picture(served: ServedCollection, data: bytes, on: str) -> NDArray[np.float32]:
    return served.collection.query_vector(Query(image=queries.opened(data, "image_url")), on=on)


def _conditions(served: ServedCollection, asked: KnnRequest) -> tuple[str | None, list[str]]:
    """Return the filter for the options, and ClipClient's default options that are not applied."""
    columns = served.collection.columns
    where, ignored = None, []
    if asked.use_safety_model:
        where = safe_filter(served.collection.schema)
        if where is None:
            ignored.append("use_safety_model")
    if asked.use_violence_detector:
        ignored.append("use_violence_detector")
    if asked.aesthetic_score is not None and "aesthetic" not in columns:
        if (asked.aesthetic_score, asked.aesthetic_weight) != CLIENT_AESTHETIC:
            raise InvalidArgument(
                f"{served.name} does not have the column aesthetic to order rows by: make it with "
                "pairdex score --aesthetic, or omit aesthetic_score and aesthetic_weight",
                field="aesthetic_score",
            )
        ignored.append("aesthetic_score")
    return where, ignored


def _ordered(
    served: ServedCollection, asked: KnnRequest, hits: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Drop near-duplicates and order by aesthetic score, if requested."""
    if asked.deduplicate and hits:
        ids = [hit["id"] for hit in hits]
        keep = _first_of_each(served.collection.vectors(asked.modality)[np.array(ids)])
        hits = [hit for hit, is_first in zip(hits, keep, strict=True) if is_first]
    score, weight = asked.aesthetic_score, asked.aesthetic_weight
    if score is not None and weight and "aesthetic" in served.collection.columns:
        hits = sorted(hits, key=lambda hit: _rank(hit, score, weight))
    return hits


def _rank(hit: dict[str, Any], score: float, weight: float) -> float:
    """Return the distance of a hit plus a penalty for the difference of its score to the wanted one."""
    looks = hit["aesthetic"]
    missed = _MAX_AESTHETIC if looks is None else abs(looks - score)
    return float(hit["distance"]) + weight * missed / _MAX_AESTHETIC


def _first_of_each(vectors: NDArray[np.float16]) -> Sequence[bool]:
    """Return which rows are the first of their group; groups are chains of near-duplicates."""
    rows = vectors.astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    is_same = rows @ rows.T > DUPLICATE_COSINE
    is_seen = np.zeros(len(rows), np.bool_)
    keep = [False] * len(rows)
    for row in range(len(rows)):
        if is_seen[row]:
            continue
        keep[row] = True
        group = is_same[row].copy()
        group[row] = True
        while (wider := group | is_same[group].any(axis=0)).sum() > group.sum():
            group = wider
        is_seen |= group
    return keep
