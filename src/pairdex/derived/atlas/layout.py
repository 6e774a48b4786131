"""Laying vectors out in the plane, near ones near each other: UMAP over the exact neighbours.

The neighbours come from the certified search and the first positions from the two main directions, so
that the layout depends on nothing but the vectors, the seed and the releases of the libraries.
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

MIN_POINTS = 10  # fewer have no neighbourhood to speak of
NEIGHBOURS = 15  # UMAP's own default: the scale of what stands together
MIN_DIST = 0.1  # UMAP's own default: how close points may come, of a unit of its plane
_BLOCK_ROWS = 2_048
_INITIAL_SIDE = 10.0  # of the first positions, as UMAP's own
_NOISE = 1e-4  # in them


def check_extra() -> None:
    """Raise MissingExtra unless umap-learn is installed."""
    _umap_class()


def umap_version() -> str:
    """Return the release of umap-learn, which decides about positions."""
    from importlib.metadata import version  # noqa: PLC0415

    return version("umap-learn")


def lay_out(
    vectors: NDArray[np.float16], *, seed: int, progress: StepProgress | None = None
) -> NDArray[np.float32]:
    """Return a position in the unit square for each vector, shape (n, 2).

    Parameters
    ----------
    vectors
        (n, dim) with at least MIN_POINTS rows, none of them zero.
    progress
        Called with the rows whose neighbours are found, and all rows; the layout itself comes after.

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
        force_approximation_algorithm=True,  # else it would compute the neighbours of few rows itself
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # That its layout can take no further rows, and that a seed means one thread: both as we want it.
        warnings.simplefilter("ignore")
        positions = np.asarray(layout.fit_transform(directions), np.float32)
    return _in_unit_square(positions)


def _umap_class() -> Any:  # noqa: ANN401 - umap-learn has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a part of it that needs TensorFlow
            from umap import UMAP  # noqa: PLC0415 - only who makes an atlas needs it
    except ImportError as error:
        raise MissingExtra(
            "an atlas needs umap-learn, which is not installed; run: pip install 'pairdex[atlas]'"
        ) from error
    return UMAP


def _neighbours(
    vectors: NDArray[np.float16], progress: StepProgress | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return ids and distances (n, k) of each row's nearest rows, itself first, as UMAP wants them."""
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
    """Return the two main components of each row, shape (n, 2), no two exactly in one place."""
    centred = directions.astype(np.float64) - directions.mean(axis=0, dtype=np.float64)
    _, components = np.linalg.eigh(centred.T @ centred)
    two = components[:, -2:]
    two = two * np.sign(two[np.abs(two).argmax(axis=0), [0, 1]])  # the sign is else by chance
    positions = centred @ two
    positions *= _INITIAL_SIDE / max(np.abs(positions).max(), 1e-6)
    # Equal rows need different positions; UMAP itself adds as much to positions that it begins with.
    noise = np.random.Generator(np.random.PCG64(seed)).random(positions.shape)
    return np.asarray(positions + _NOISE * noise, np.float32)


def _in_unit_square(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the positions moved and scaled, both axes alike, so that they fill the unit square."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    side = float((high - low).max()) or 1.0
    return np.asarray((positions - (low + high) / 2) / side + 0.5, np.float32)
