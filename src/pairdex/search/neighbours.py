"""From query vectors to the nearest rows that qualify, by the vectors themselves or in a projection."""

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
from pairdex.knn.codes import Codes
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
MAX_K = 1_000_000  # more neighbours of one query than that are a mistake; they would fill memory
MAX_FOUND = 100_000_000  # neighbours of all queries of a call: their ids and distances fill 1.6 GB

_COSINE_BLOCK = 10_000  # rows whose vectors are read at once: 160 MB at 1,024 dimensions


def nearest(
    store: Store,
    vectors: NDArray[np.float32],
    k: int,
    *,
    on: VectorField = "image",
    where: str | None = None,
    codes: Codes | None = None,
) -> cosine.Neighbours:
    """Return the k nearest rows of each vector, exactly, among those that satisfy `where`.

    Parameters
    ----------
    vectors
        Shape (n, dim).
    codes
        Of the vectors that are searched: the same answer, sooner.

    Returns
    -------
    Neighbours
        k rows if k rows qualify; padded with id -1 and an infinite distance.
    """
    check_vectors(store, vectors, k, on)
    blocks = store.vectors(on).blocks
    return cosine.nearest(blocks, vectors, k, allowed=store.allowed(where), codes=codes)


def check_vectors(store: Store, vectors: NDArray[Any], k: int, on: VectorField) -> None:
    """Raise unless these are vectors (n, dim) of the collection's dimension, and k and n k are in bounds."""
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
) -> cosine.Neighbours:
    """Return what `nearest` does in a projection's space, by its distance and by brute force.

    Parameters
    ----------
    vectors
        Shape (n, dim), or rows that are projected already: see `projections.search.to_space`.
    """
    _check_found(len(vectors), k)
    allowed = store.allowed(where)
    ids, distances = nearest_projected(projection, vectors, k, allowed=allowed)
    return cosine.Neighbours(ids, distances, cosine.Report(0, 0, 0, exact=False))


def similarities(
    store: Store, on: VectorField, vector: NDArray[np.float32], ids: NDArray[np.int64]
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


def _check_found(n_queries: int, k: int) -> None:
    check_k(k)
    if n_queries * k > MAX_FOUND:
        raise InvalidArgument(
            f"{n_queries:,} queries with a k of {k:,} have {n_queries * k:,} neighbours, "
            f"expected at most {MAX_FOUND:,}: search for fewer at a time",
            field="k",
        )
