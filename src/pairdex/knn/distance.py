"""The measures of pairdex, in plain float64: the reference that every faster path is tested against."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Metric", "cosine_distance", "distance", "normalise", "similarity"]

Metric = Literal["cosine", "ip"]
"""How the vectors of a collection are compared: by 1 - cos, or by the inner product of vectors of any
length, whose negative is the distance."""


def normalise(vectors: ArrayLike) -> NDArray[np.float64]:
    """Scale vectors to unit length.

    Parameters
    ----------
    vectors
        Shape (..., dim), finite, no vector all zero.

    Returns
    -------
    NDArray[np.float64]
        Same shape.

    Raises
    ------
    ValueError
        If a vector is all zero or has an infinity or NaN: it has no direction.

    Examples
    --------
    >>> normalise([3.0, 4.0]).tolist()
    [0.6, 0.8]
    """
    rows = np.asarray(vectors, dtype=np.float64)
    # Dividing by the largest element first keeps the squares of tiny and huge values in range.
    largest = np.max(np.abs(rows), axis=-1, keepdims=True)
    if not np.all((largest > 0) & np.isfinite(largest)):
        message = "a vector is all zero or not finite, so it has no direction: leave it out"
        raise ValueError(message)
    scaled = rows / largest
    return np.asarray(scaled / np.linalg.norm(scaled, axis=-1, keepdims=True))


def cosine_distance(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """1 - cos between vectors, in [0, 2], over the last axis with broadcasting.

    Parameters
    ----------
    a, b
        Shapes (..., dim) that broadcast, each vector finite and not all zero.

    Returns
    -------
    NDArray[np.float64]
        The broadcast shape without its last axis.

    Examples
    --------
    >>> cosine_distance([1, 0], [[2, 0], [0, 1], [-3, 0]]).tolist()
    [0.0, 1.0, 2.0]
    """
    cosine = np.sum(normalise(a) * normalise(b), axis=-1)
    return np.asarray(np.clip(1.0 - cosine, 0.0, 2.0))


def distance(metric: Metric, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return 1 - cos or the negative inner product, over the last axis with broadcasting.

    Parameters
    ----------
    a, b
        Shapes (..., dim) that broadcast; for `cosine`, each vector finite and not all zero.

    Returns
    -------
    NDArray[np.float64]
        The broadcast shape without its last axis.

    Examples
    --------
    >>> distance("ip", [1, 2], [[2, 0], [0, 1], [-3, 0]]).tolist()
    [-2.0, -2.0, 3.0]
    """
    if metric == "cosine":
        return cosine_distance(a, b)
    products = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    return np.asarray(0.0 - products.sum(axis=-1))  # 0 - 0 is 0, its negative would be -0


def similarity(metric: Metric, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosines or the inner products that distances stand for; the same shape."""
    return 1.0 - distances if metric == "cosine" else 0.0 - distances
