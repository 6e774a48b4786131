"""Combine wanted and unwanted directions into one, e.g. "a car, but not red"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.knn.distance import normalise

__all__ = ["combine"]

_LEAST = 1e-3  # as a sine and as a share of the weights; below it, rounding decides the direction


def combine(vectors: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the combined direction of the terms as a unit vector, shape (dim,).

    The result starts as the weighted sum of the plus terms. From it, only the component of each
    minus term orthogonal to that sum is subtracted. What both share stays in the result, because
    all texts share a common component. `docs/decisions/minus-terms.md` compares this with the
    alternatives.

    Parameters
    ----------
    vectors
        Shape (n, dim), of unit length.
    weights
        Shape (n,), at least one of them positive.

    Raises
    ------
    InvalidArgument
        The plus terms cancel each other out, or a minus term has the same direction as their sum.

    Examples
    --------
    >>> combine(np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([1.0, -0.9375])).round(3).tolist()
    [0.8, -0.6]
    """
    is_wanted = weights > 0
    wanted = weights[is_wanted] @ vectors[is_wanted]
    if np.linalg.norm(wanted) < _LEAST * weights[is_wanted].sum():
        raise InvalidArgument(
            "the plus terms cancel each other out: no direction is left of them; change their weights",
            field="terms",
        )
    direction = normalise(wanted)
    unwanted = vectors[~is_wanted]
    aside = unwanted - (unwanted @ direction)[:, None] * direction
    if (np.linalg.norm(aside, axis=1) < _LEAST).any():
        raise InvalidArgument(
            "a minus term asks for the same as the plus terms: nothing is left to search for; "
            "change it, or leave it out",
            field="terms",
        )
    return normalise(wanted + weights[~is_wanted] @ aside)
