"""Exact search in a projection's space: squared Euclidean distance for PCA, differing bits for sketches."""

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
        As `to_space` takes them.
    allowed
        (rows,): only rows where it is true are found.

    Returns
    -------
    ids : NDArray[np.int64], shape (n, k)
        Nearest first, equal distances by smaller id; -1 where fewer than k rows qualify.
    distances : NDArray[np.float64], shape (n, k)
        What MEASURES says; infinity beside an id of -1.
    """
    points = to_space(projection, queries)
    if projection.kind == "pca":
        return euclidean.nearest(projection.blocks, points, k, allowed=allowed)
    ids, counts = hamming.nearest(projection.blocks, points, k, allowed=allowed)
    return ids, np.where(ids >= 0, counts, np.inf)


def to_space(projection: Projection, queries: NDArray[Any]) -> NDArray[Any]:
    """Return queries in the projection's space.

    Parameters
    ----------
    queries
        Vectors (n, source_dim) as the collection's, which are projected, or rows that are projected
        already: (n, dim) floats for a PCA, (n, dim / 64) uint64 for a binary sketch. Where a PCA has
        as many components as the vectors dimensions, they are vectors.

    Raises
    ------
    InvalidArgument, Mismatch
        A query without direction or not finite; another shape or dtype.
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
        f"the queries are {queries.dtype} of shape {queries.shape}; {projection.name} takes vectors "
        f"(n, {model.source_dim}), or {model.dtype.name} (n, {model.width}) that are projected already"
    )
