"""Exact nearest-neighbour search with a filter, over the vectors or in a projection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.files import (
    Projection,
    check_name,
    find_projections,
    open_projection,
)
from pairdex.derived.projections.search import nearest_projected
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes
from pairdex.knn.distance import cosine_distance
from pairdex.store.store import Store, VectorField

__all__ = [
    "DEFAULT_K",
    "MAX_FOUND",
    "MAX_K",
    "check_k",
    "check_vectors",
    "nearest",
    "nearest_in_space",
    "open_space",
    "similarities",
]

DEFAULT_K = 10
MAX_K = 1_000_000  # per query; a larger k is a mistake and would fill memory
MAX_FOUND = 100_000_000  # per call (queries x k): ids and distances take 1.6 GB

_COSINE_BLOCK = 10_000  # rows per read: 160 MB of vectors at 1,024 dimensions


def nearest(
    store: Store,
    vectors: NDArray[np.float32],
    k: int,
    *,
    on: VectorField = "image",
    where: str | None = None,
    codes: AnyCodes | None = None,
) -> cosine.Neighbours:
    """Return the exact k nearest rows of each vector among the rows that satisfy `where`.

    Parameters
    ----------
    vectors
        Shape (n, dim).
    codes
        Codes of the searched vectors. They speed up the search and give the same answer.

    Returns
    -------
    Neighbours
        k rows per vector. If fewer qualify, id -1 and an infinite distance fill the rest.
    """
    check_vectors(store, vectors, k, on)
    blocks = store.vectors(on).blocks
    return cosine.nearest(blocks, vectors, k, allowed=store.allowed(where), codes=codes)


def check_vectors(store: Store, vectors: NDArray[Any], k: int, on: VectorField) -> None:
    """Raise unless the vectors have shape (n, dim) and k and n * k are within their limits."""
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


def open_space(store: Store, on: str) -> VectorField | Projection:
    """Open what `on` names: image vectors, text vectors or a projection.

    Raises
    ------
    InvalidArgument
        The collection does not have these vectors or this projection.
    Mismatch, DamagedFile, UnsupportedFormat
        The projection was made from other vectors, is damaged, or has a newer version.
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
) -> cosine.Neighbours:
    """Search a projection exhaustively by its own distance; otherwise like `nearest`.

    Parameters
    ----------
    vectors
        Shape (n, dim), or rows already projected: see `projections.search.to_space`.
    """
    _check_found(len(vectors), k)
    allowed = store.allowed(where)
    ids, distances = nearest_projected(projection, vectors, k, allowed=allowed)
    answered = cosine.Answered(projection.name, f"method={projection.record.method}")
    report = cosine.Report(0, 0, 0, exact=False, answered=answered)
    return cosine.Neighbours(ids, distances, report)


def similarities(
    store: Store, on: VectorField, vector: NDArray[np.float32], ids: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the cosine of each row's stored vector to a vector (dim,); NaN for an id of -1."""
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


def _check_found(n_queries: int, k: int) -> None:
    check_k(k)
    if n_queries * k > MAX_FOUND:
        raise InvalidArgument(
            f"{n_queries:,} queries with a k of {k:,} have {n_queries * k:,} neighbours, "
            f"expected at most {MAX_FOUND:,}: search for fewer at a time",
            field="k",
        )
