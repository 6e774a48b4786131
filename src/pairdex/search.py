"""Searching a collection: from what is asked (text, picture, row or vector) to rows, nearest first."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL.Image import Image

from pairdex import knn
from pairdex.codes import Codes
from pairdex.distance import cosine_distance, normalise
from pairdex.encoders.pictures import open_picture
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.projections.files import Projection, check_name, find_projections, open_projection
from pairdex.projections.search import nearest_projected
from pairdex.store.store import Kind, Store

__all__ = [
    "DEFAULT_K",
    "MAX_FOUND",
    "MAX_K",
    "UNLIKE_WEIGHT",
    "Embeds",
    "Picture",
    "Query",
    "check_k",
    "describe",
    "nearest",
    "nearest_in_space",
    "open_space",
    "query_vector",
    "similarities",
]

DEFAULT_K = 10
MAX_K = 1_000_000  # more neighbours of one query than that are a mistake; they would fill memory
MAX_FOUND = 100_000_000  # neighbours of all queries of a call: their ids and distances fill 1.6 GB
UNLIKE_WEIGHT = 0.5  # how much of the unwanted direction is taken from the wanted one

_COSINE_BLOCK = 10_000  # rows whose vectors are read at once: 160 MB at 1,024 dimensions

Picture = str | Path | bytes | Image


class Embeds(Protocol):
    """What turns texts and pictures into vectors (n, dim) float32 of unit length."""

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts."""

    def encode_images(self, images: list[Image]) -> NDArray[np.float32]:
        """Encode pictures."""


@dataclass(frozen=True)
class Query:
    """What is searched for: exactly one of text, image, like (an id) and vector; minus `unlike`."""

    text: str | None = None
    image: Picture | None = None
    like: int | None = None
    vector: NDArray[np.float32] | None = None
    unlike: str | None = None

    def __post_init__(self) -> None:
        given = [
            name for name in ("text", "image", "like", "vector") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise InvalidArgument(
                f"search takes exactly one of text, image, like and vector, got {got}",
                field=given[1] if given else "text",
            )

    @property
    def needs_model(self) -> bool:
        """Whether a model has to encode something of it."""
        return self.text is not None or self.image is not None or self.unlike is not None


def query_vector(
    store: Store, query: Query, encoder: Embeds | None, on: Kind
) -> NDArray[np.float32]:
    """Return the vector to search with, shape (dim,), of unit length.

    `like` takes the row's own vector of the kind that is searched. `unlike` u turns the wanted
    direction q into q - UNLIKE_WEIGHT * u.

    Raises
    ------
    InvalidArgument, Mismatch
        An id out of range, a text or picture that cannot be encoded, a vector of another dimension
        or without a direction.
    """
    vector = normalise(_wanted(store, query, encoder, on))
    if query.unlike is not None:
        assert encoder is not None, "needs_model says so"
        vector = normalise(vector - UNLIKE_WEIGHT * encoder.encode_texts([query.unlike])[0])
    return vector.astype(np.float32)


def nearest(
    store: Store,
    vectors: NDArray[np.float32],
    k: int,
    *,
    on: Kind = "image",
    where: str | None = None,
    without: int | None = None,
    codes: Codes | None = None,
) -> knn.Neighbours:
    """Return the k nearest rows of each vector, exactly, among those that satisfy `where`.

    Parameters
    ----------
    vectors
        Shape (n, dim).
    without
        An id that is not to be found.
    codes
        Of the vectors that are searched: the same answer, sooner.

    Returns
    -------
    Neighbours
        k rows if k rows qualify; padded with id -1 and an infinite distance.
    """
    if vectors.ndim != 2 or vectors.shape[1] != store.dim:
        raise Mismatch(
            f"the query vectors have shape {vectors.shape}, expected (n, {store.dim}): "
            f"{store.path} has vectors of {store.dim} dimensions"
        )
    if vectors.dtype == np.uint64:
        raise Mismatch(
            f"the queries are uint64 words of binary sketches, {on} vectors are searched by vectors; "
            "search on hamming"
        )
    _check_found(len(vectors), k)
    blocks = store.vectors(on).blocks
    allowed = store.allowed(where)
    if without is None:
        return knn.nearest(blocks, vectors, k, allowed=allowed, codes=codes)
    found = knn.nearest(blocks, vectors, k + 1, allowed=allowed, codes=codes)
    return _dropping(found, without, k)


def open_space(store: Store, on: str) -> Kind | Projection:
    """Return what `on` names: a kind of the collection's vectors, or a projection, opened.

    Raises
    ------
    InvalidArgument
        The collection has neither such vectors nor such a projection.
    Mismatch, DamagedFile, UnsupportedFormat
        The projection is of other vectors, damaged, or of a newer version.
    """
    for kind in store.manifest.vectors:
        if on == kind:
            return kind
    projections = find_projections(store)
    if on in projections:
        return open_projection(store, on)
    there = ", ".join([*store.manifest.vectors, *projections])
    try:
        check_name(on)
    except InvalidArgument:
        raise InvalidArgument(
            f"{store.path} has no {on!r} vectors to search; it has {there}", field="on"
        ) from None
    raise InvalidArgument(
        f"{store.path} has no projection {on}, it has {there}; "
        f"make it with pairdex project {store.path} {on}",
        field="on",
    )


def nearest_in_space(
    store: Store,
    projection: Projection,
    vectors: NDArray[Any],
    k: int,
    *,
    where: str | None = None,
    without: int | None = None,
) -> knn.Neighbours:
    """Return what `nearest` does in a projection's space, by its distance and by brute force.

    Parameters
    ----------
    vectors
        Shape (n, dim), or rows that are projected already: see `projections.search.to_space`.
    """
    _check_found(len(vectors), k)
    allowed = store.allowed(where)
    wanted = k if without is None else k + 1
    ids, distances = nearest_projected(projection, vectors, wanted, allowed=allowed)
    found = knn.Neighbours(ids, distances, knn.Report(0, 0, 0, exact=False))
    return found if without is None else _dropping(found, without, k)


def similarities(
    store: Store, on: Kind, vector: NDArray[np.float32], ids: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the cosines of the stored vectors of rows to a vector (dim,); NaN beside an id of -1."""
    view = store.vectors(on)
    cosines = np.full(len(ids), np.nan)
    places = np.flatnonzero(ids >= 0)
    for first in range(0, len(places), _COSINE_BLOCK):
        some = places[first : first + _COSINE_BLOCK]
        cosines[some] = 1.0 - cosine_distance(vector, view[ids[some]])
    return cosines


def check_k(k: int) -> None:
    """Raise InvalidArgument unless k is from 1 to MAX_K."""
    if not 1 <= k <= MAX_K:
        raise InvalidArgument(f"k is {k:,}, expected 1 to {MAX_K:,}", field="k")


def describe(
    store: Store,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    similarity: NDArray[np.float64] | None = None,
) -> pa.Table:
    """Return the found rows as a table: id, distance, similarity, then the metadata columns.

    `similarity` is the cosine to the query, 1 - distance unless it is given; the similarity of image
    and caption that a release may store appears as `pair_similarity`. Rows that were removed since the search began are
    left out.
    """
    live = store.allowed()
    found = (ids >= 0) & (True if live is None else live[ids])
    cosines = (1.0 - distances if similarity is None else similarity)[found]
    ids, distances = ids[found], distances[found]
    metadata = store.read(ids)
    renamed = [
        "pair_similarity" if name == "similarity" else name for name in metadata.column_names
    ]
    table = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "distance": pa.array(distances, pa.float64()),
            "similarity": pa.array(cosines, pa.float64()),
        }
    )
    for name, column in zip(renamed, metadata.columns, strict=True):
        table = table.append_column(name, column)
    return table


def _check_found(n_queries: int, k: int) -> None:
    check_k(k)
    if n_queries * k > MAX_FOUND:
        raise InvalidArgument(
            f"{n_queries:,} queries with a k of {k:,} have {n_queries * k:,} neighbours, "
            f"expected at most {MAX_FOUND:,}: search for fewer at a time",
            field="k",
        )


def _wanted(store: Store, query: Query, encoder: Embeds | None, on: Kind) -> NDArray[np.float32]:
    """Return what is searched for as a vector (dim,) of any length but zero."""
    if query.like is not None:
        store.check_ids(np.array([query.like], np.int64))
        return store.vectors(on)[query.like].astype(np.float32)
    if query.vector is not None:
        return _checked_vector(np.asarray(query.vector, np.float32), store)
    assert encoder is not None, "needs_model says so"
    if query.text is not None:
        encoded = encoder.encode_texts([query.text])
    else:
        assert query.image is not None, "a query has exactly one of them"
        encoded = encoder.encode_images([_opened(query.image)])
    return np.asarray(encoded[0], np.float32)


def _checked_vector(vector: NDArray[np.float32], store: Store) -> NDArray[np.float32]:
    if vector.shape != (store.dim,):
        raise Mismatch(
            f"the query vector has shape {vector.shape}, expected ({store.dim},), "
            f"as the vectors of {store.path}"
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise InvalidArgument("the query vector is zero or not finite", field="vector")
    return vector


def _opened(picture: Picture) -> Image:
    if isinstance(picture, Image):
        return picture
    return open_picture(BytesIO(picture) if isinstance(picture, bytes) else Path(picture))


def _dropping(found: knn.Neighbours, without: int, k: int) -> knn.Neighbours:
    """Leave one id out of k + 1 neighbours; where it is not among them, the last one."""
    is_it = found.ids == without
    last = np.full((len(found.ids), 1), k)
    at = np.where(is_it.any(axis=1, keepdims=True), is_it.argmax(axis=1, keepdims=True), last)
    keep = np.arange(k + 1) != at
    return knn.Neighbours(
        found.ids[keep].reshape(-1, k), found.distances[keep].reshape(-1, k), found.report
    )
