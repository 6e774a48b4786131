"""Searches of few rows of a published collection: only the vectors of these rows are fetched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pairdex.knn import cosine
from pairdex.store.ranged_vectors import RangedVectors
from pairdex.store.store import Store, VectorField

__all__ = ["nearest_of_few"]

_FEW_ROWS = 1_024  # each costs a block of 64 KiB


def nearest_of_few(
    store: Store,
    on: VectorField,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> cosine.Neighbours | None:
    """Return the exact k nearest of the rows that `allowed` (rows,) flags, if they are read by ranges.

    Returns
    -------
    Neighbours or None
        None if there are many such rows, or all vectors are here: other ways are faster then.
    """
    if allowed is None:
        return None
    vectors = store.vectors(on)
    if not isinstance(vectors, RangedVectors) or vectors.is_whole:
        return None
    ids = np.flatnonzero(allowed)
    if len(ids) > _FEW_ROWS:
        return None
    found = cosine.nearest([vectors[ids]], queries, k, metric=store.metric)
    if not len(ids):
        return found
    return replace(found, ids=np.where(found.ids < 0, -1, ids[found.ids]))
