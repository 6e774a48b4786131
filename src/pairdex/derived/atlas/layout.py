"""Lay out vectors in the plane, keeping similar vectors close: UMAP over exact neighbours.

The neighbours come from the certified search, and the initial positions from the first two principal
components. The layout therefore depends only on the vectors, the seed and the library versions.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import MissingExtra
from pairdex.knn import cosine
from pairdex.knn.distance import normalise
from pairdex.progress import StepProgress

__all__ = ["MIN_DIST", "MIN_POINTS", "NEIGHBOURS", "check_extra", "lay_out", "umap_version"]

MIN_POINTS = 10  # fewer points have no meaningful neighbourhoods
NEIGHBOURS = 15  # UMAP's default: the size of a neighbourhood
MIN_DIST = 0.1  # UMAP's default: the smallest distance of points, in units of its plane
_BLOCK_ROWS = 2_048
_INITIAL_SIDE = 10.0  # the extent of the initial positions, as in UMAP
_NOISE = 1e-4  # added to the initial positions


def check_extra() -> None:
    """Raise MissingExtra unless umap-learn is installed."""
    _umap_class()


def umap_version() -> str:
    """Return the version of umap-learn, which affects positions."""
    from importlib.metadata import version  # noqa: PLC0415

    return version("umap-learn")


def lay_out(
    vectors: NDArray[np.float16], *, seed: int, progress: StepProgress | None = None
) -> NDArray[np.float32]:
    """Return a position in the unit square for each vector, shape (n, 2).

    Parameters
    ----------
    vectors
        Shape (n, dim), at least MIN_POINTS rows, no zero vector.
    progress
        Called with the rows whose neighbours were found, and all rows. The layout follows without reports.

    Raises
    ------
    MissingExtra
        umap-learn is not installed.
    """
    maker = _umap_class()
    neighbours = _neighbours(vectors, progress)
    directions = normalise(vectors).astype(np.float32)
    layout = maker(
        n_neighbors=neighbours[0].shape[1],
        min_dist=MIN_DIST,
        metric="cosine",
        init=_main_directions(directions, seed),
        precomputed_knn=neighbours,
        force_approximation_algorithm=True,  # otherwise UMAP computes the neighbours of few rows itself
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # UMAP warns that it cannot add rows later, and that a seed means one thread. Both are intended.
        warnings.simplefilter("ignore")
        positions = np.asarray(layout.fit_transform(directions), np.float32)
    return _in_unit_square(positions)


def _umap_class() -> Any:  # noqa: ANN401 - umap-learn has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # umap warns that TensorFlow is missing
            from umap import UMAP  # noqa: PLC0415 - only needed to make an atlas
    except ImportError as error:
        raise MissingExtra(
            "an atlas needs umap-learn, which is not installed; run: pip install 'pairdex[atlas]'"
        ) from error
    return UMAP


def _neighbours(
    vectors: NDArray[np.float16], progress: StepProgress | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ids and distances, shape (n, k), of each row's nearest rows; the row itself is first."""
    k = min(NEIGHBOURS, len(vectors) - 1)
    ids = np.empty((len(vectors), k), np.int64)
    distances = np.empty((len(vectors), k), np.float32)
    for first in range(0, len(vectors), _BLOCK_ROWS):
        some = slice(first, first + _BLOCK_ROWS)
        found = cosine.nearest([vectors], vectors[some].astype(np.float32), k)
        ids[some], distances[some] = found.ids, found.distances
        if progress is not None:
            progress(min(first + _BLOCK_ROWS, len(vectors)), len(vectors))
    return ids, distances


def _main_directions(directions: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the first two principal components of each row, shape (n, 2), all rows distinct."""
    centred = directions.astype(np.float64) - directions.mean(axis=0, dtype=np.float64)
    _, components = np.linalg.eigh(centred.T @ centred)
    two = components[:, -2:]
    two = two * np.sign(two[np.abs(two).argmax(axis=0), [0, 1]])  # otherwise the sign is arbitrary
    positions = centred @ two
    positions *= _INITIAL_SIDE / max(np.abs(positions).max(), 1e-6)
    # Equal rows need different positions. UMAP adds the same amount of noise to its own initial positions.
    noise = np.random.Generator(np.random.PCG64(seed)).random(positions.shape)
    return np.asarray(positions + _NOISE * noise, np.float32)


def _in_unit_square(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shift and scale positions to fit the unit square, both axes by the same factor."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    side = float((high - low).max()) or 1.0
    return np.asarray((positions - (low + high) / 2) / side + 0.5, np.float32)
