"""Compare newly computed vectors with those stored in a collection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex.knn.distance import normalise

__all__ = ["Agreement", "of_similarities", "of_vectors"]

# Vectors closer than this count as the same: float16 on a GPU changes a CLIP vector by less,
# another activation by more.
SAME_COSINE = 0.999
SAME_SIMILARITY = 0.005  # likewise for the similarity of a picture and its caption


@dataclass(frozen=True)
class Agreement:
    """The result of comparing some rows.

    Attributes
    ----------
    rows
        Number of compared rows.
    median, mean
        Of the cosine between old and new; of 1 - the difference for similarities.
    same
        The share of rows that are equal except for rounding.
    recognised
        The share of rows whose new vector is nearest to its own old one among all compared; for
        similarities, the correlation of old and new. By chance it is about 0.
    """

    rows: int
    median: float
    mean: float
    same: float
    recognised: float


def of_vectors(old: NDArray[np.float16], new: NDArray[np.float32]) -> Agreement:
    """Compare vectors of the same rows, shape (n, dim) each, n at least 1."""
    a, b = normalise(old), normalise(new)
    cosines = np.einsum("ij,ij->i", a, b)
    # Equal texts have equal vectors, so ties count as nearest.
    nearest = cosines >= (b @ a.T).max(axis=1) - 1e-6
    return Agreement(
        rows=len(a),
        median=float(np.median(cosines)),
        mean=float(cosines.mean()),
        same=float((cosines >= SAME_COSINE).mean()),
        recognised=float(nearest.mean()),
    )


def of_similarities(old: NDArray[np.float64], new: NDArray[np.float64]) -> Agreement:
    """Compare similarities of picture and caption of the same rows, shape (n,), n at least 1."""
    apart = np.abs(old - new)
    varies = len(old) > 1 and old.std() > 0 and new.std() > 0
    return Agreement(
        rows=len(old),
        median=float(1 - np.median(apart)),
        mean=float(1 - apart.mean()),
        same=float((apart <= SAME_SIMILARITY).mean()),
        recognised=float(np.corrcoef(old, new)[0, 1]) if varies else 0.0,
    )
