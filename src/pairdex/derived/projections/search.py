"""Exact search in a projection's space, by squared Euclidean (PCA) or Hamming distance (sketches)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.files import Projection
from pairdex.derived.projections.models import ProjectionKind
from pairdex.errors import Mismatch
from pairdex.knn import euclidean, hamming
from pairdex.knn.cosine import check_queries

__all__ = ["MEASURES", "nearest_projected", "to_space"]

MEASURES: dict[ProjectionKind, str] = {"pca": "squared Euclidean", "hamming": "differing bits"}


def nearest_projected(
    projection: Projection,
    queries: NDArray[Any],
    k: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the k nearest rows of each query in the projection's space, by brute force.

    Parameters
    ----------
    queries
        See `to_space`.
    allowed
        Shape (rows,): only rows where it is true are found. None: all rows.

    Returns
    -------
    ids : NDArray[np.int64], shape (n, k)
        Ordered by distance, then by id; -1 if fewer than k rows are allowed.
    distances : NDArray[np.float64], shape (n, k)
        The distances as named in MEASURES; infinity for an id of -1.
    """
    points = to_space(projection, queries)
    if projection.kind == "pca":
        return euclidean.nearest(projection.blocks, points, k, allowed=allowed)
    ids, counts = hamming.nearest(projection.blocks, points, k, allowed=allowed)
    return ids, np.where(ids >= 0, counts, np.inf)


def to_space(projection: Projection, queries: NDArray[Any]) -> NDArray[Any]:
    """Return queries in the projection's space, shape (n, width).

    Parameters
    ----------
    queries
        Vectors of the collection's dimension, shape (n, source_dim), which are projected here; or queries
        that are projected already: floats of shape (n, dim) for a PCA, uint64 of shape (n, dim / 64) for
        a binary sketch. If a PCA keeps all dimensions, queries are taken as vectors.

    Raises
    ------
    InvalidArgument
        A query is zero or not finite.
    Mismatch
        The queries have another shape or dtype.
    """
    model = projection.model
    if queries.ndim == 2:
        if projection.kind == "hamming" and queries.dtype == np.uint64:
            if queries.shape[1] == model.width:
                return hamming.check_words(queries)
        elif queries.shape[1] == model.source_dim:
            return projection.apply(check_queries(queries))
        elif projection.kind == "pca" and queries.shape[1] == model.width:
            return euclidean.check_points(queries)
    raise Mismatch(
        f"the queries are {queries.dtype} of shape {queries.shape}; {projection.name} expects vectors "
        f"(n, {model.source_dim}), or projected queries, {model.dtype.name} (n, {model.width})"
    )
