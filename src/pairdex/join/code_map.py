"""The map of rows to small integers under which distances never grow by more than a known error.

A unit row becomes its first principal coordinates and the length of what they leave, clamped to a box
and rounded. The proof: docs/certified.md, section 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRAPH_BOX", "JOIN_BOX", "CodeErrors", "CodeMap", "JoinLimits", "JoinMap", "fit_map"]

_SMALL = 64  # coordinates of the code that tiles compare
_LARGE = 256  # of the code that decides about the pairs they leave
_STEP = 64  # codes have a multiple of this many bytes
_LARGEST_CODE = 127
JOIN_BOX = 1.2  # of a code, in standard deviations of the widest coordinate: measured for joins
GRAPH_BOX = 2.5  # clamps hardly any: a graph wants distances, not bounds
_LEAST_BOX = 0.01  # of rows that are nearly all the same
_FLOAT64 = 1 + 1e-9


@dataclass(frozen=True)
class CodeMap:
    """One of the two codes of a row.

    Attributes
    ----------
    coordinates
        The number of principal coordinates; if they are not all, the length of the rest follows.
    length
        Bytes of a code, zeros at its end.
    box
        Values are clamped to [-box, box], which becomes -127 to 127.
    rest_centre
        Subtracted from the length of the rest.
    """

    coordinates: int
    length: int
    box: float
    rest_centre: float

    @property
    def scale(self) -> float:
        """Units of the code for a distance of 1."""
        return _LARGEST_CODE / self.box

    @property
    def numbers(self) -> tuple[int, float, float]:
        """What the native code takes."""
        return self.coordinates, self.box, self.rest_centre


@dataclass(frozen=True)
class CodeErrors:
    """The largest distance of a code from the values it stands for, in units of the code."""

    small: float
    large: float


JoinLimits = tuple[float, tuple[float, float], tuple[float, float], float]
"""Of pairs: largest 1 - cos; of the small and the large codes, units for a distance of 1 and what both codes err by;
error of float32."""


@dataclass(frozen=True)
class JoinMap:
    """The map of the rows of one join.

    Attributes
    ----------
    basis
        (n + 1, padded dim) float32: the principal directions, then the centre.
    shifts
        (n,) float64: the directions' products with the centre.
    basis_error
        By how much the directions may stretch a squared length, as a share of it.
    large
        `length` is 0 if the small code has all coordinates.
    """

    dim: int
    basis: NDArray[np.float32]
    shifts: NDArray[np.float64]
    basis_error: float
    small: CodeMap
    large: CodeMap

    @property
    def centre_squared(self) -> float:
        """The squared length of the centre."""
        centre = self.basis[-1].astype(np.float64)
        return float(centre @ centre)

    def limits(self, within: float, errors: CodeErrors) -> JoinLimits:
        """Return what the codes of rows at most `within` apart, as 1 - cos, surely satisfy."""
        stretch = math.sqrt(1 + self.basis_error) * _FLOAT64
        small, large = self.small.scale * stretch, self.large.scale * stretch
        near_error = 4 * (self.dim + 4) * 2.0**-24
        return within, (small, 2 * errors.small), (large, 2 * errors.large), near_error


def fit_map(rows: NDArray[np.float32], *, box: float = JOIN_BOX) -> JoinMap:
    """Fit the map to a sample of unit rows, (n, dim), n at least 1.

    Any centre, directions and box give a correct join; these give a fast one. A larger
    box rounds more, a smaller one clamps more.
    """
    dim = rows.shape[1]
    small = dim if dim <= _SMALL else _SMALL - 1
    large = dim if dim <= _LARGE else _LARGE - 1
    centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    directions = _principal(rows - centre)[:large].astype(np.float32)
    wide = directions.astype(np.float64)
    stretch = np.linalg.eigvalsh(wide @ wide.T)
    basis = np.zeros((large + 1, -(-dim // 16) * 16), np.float32)
    basis[:-1, :dim], basis[-1, :dim] = directions, centre
    coordinates = (rows - centre) @ directions.T
    squared = np.square(rows - centre).sum(axis=1)
    return JoinMap(
        dim,
        basis,
        wide @ centre.astype(np.float64),
        float(np.abs(stretch - 1).max()) + 1e-9,
        _fit_code(coordinates, squared, small, dim=dim, box=box),
        CodeMap(0, 0, 1.0, 0.0)
        if small == dim
        else _fit_code(coordinates, squared, large, dim=dim, box=box),
    )


def _principal(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """All principal directions, orthonormal, one a row, the longest first."""
    _, vectors = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    return np.asarray(np.linalg.qr(vectors[:, ::-1])[0].T)


def _fit_code(
    coordinates: NDArray[np.float32], squared: NDArray[np.float32], n: int, *, dim: int, box: float
) -> CodeMap:
    values, centre = coordinates[:, :n], 0.0
    widest = float(values.std(axis=0).max())
    if n < dim:
        rest = np.sqrt(np.maximum(squared - np.square(values).sum(axis=1), 0))
        centre, widest = float(rest.mean()), max(widest, float(rest.std()))
    length = -(-(n + (n < dim)) // _STEP) * _STEP
    return CodeMap(n, length, max(box * widest, _LEAST_BOX), centre)
