"""Sketches of 1,024 bits by random rotations of the leading principal directions.

Each bit is the side of a hyperplane on which a row lies. All values are small integers whose products and
sums are exact in float32, so the bits do not depend on processor, threads or blocks. Alternatives and
measurements: `docs/decisions/sketches.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.bits import BITS, WORDS, packed
from pairdex.derived.projections.moments import moments
from pairdex.derived.projections.rows import widened
from pairdex.errors import InvalidArgument

__all__ = ["DEFAULT_FIT_ROWS", "Rotations", "fit_rotations"]

DEFAULT_FIT_ROWS = 65_536  # enough for 256 principal directions; more rows do not change recall
HEAD_DIMS = 256  # rotated principal directions: in CLIP vectors they have 92 % of the variance
CENTRE = 0.85  # the hyperplanes meet at this fraction of the way from the origin to the rows' mean

ROW_LENGTH = 4_096  # a row is scaled to this length before it is rounded to integers
DIRECTION_LENGTH = 4_000  # the same for a hyperplane's direction; the product stays below EXACT
EXACT = 1 << 24  # float32 represents all integers up to this one exactly


@dataclass(frozen=True)
class Rotations:
    """Hyperplanes with integer coefficients: bit j of a row x is 1 if directions[j] . x > thresholds[j].

    Attributes
    ----------
    directions
        Shape (1024, source_dim), int16.
    thresholds
        Shape (1024,), int32.
    """

    directions: NDArray[np.int16]
    thresholds: NDArray[np.int32]

    kind: ClassVar[Literal["hamming"]] = "hamming"
    method: ClassVar[str] = "rotations"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<u8")
    dim: ClassVar[int] = BITS
    width: ClassVar[int] = WORDS
    explained_variance: ClassVar[None] = None

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Rotations:
        """Return the model with the arrays that `arrays()` returned.

        Raises
        ------
        ValueError
            Shapes or dtypes are wrong, or values are too large for exact sums.
        """
        model = cls(np.asarray(arrays["directions"]), np.asarray(arrays["thresholds"]))
        directions, thresholds = model.directions, model.thresholds
        if directions.dtype != np.int16 or thresholds.dtype != np.int32:
            raise ValueError(
                f"directions are {directions.dtype}, thresholds {thresholds.dtype}; "
                "expected int16 and int32"
            )
        if directions.shape != (BITS, *directions.shape[1:2]) or thresholds.shape != (BITS,):
            raise ValueError(f"directions have shape {directions.shape}, expected ({BITS}, dim)")
        if not model.is_exact():
            raise ValueError("directions or thresholds are too large to be summed exactly")
        return model

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return the arrays to store in a model file."""
        return {"directions": self.directions, "thresholds": self.thresholds}

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that the model projects."""
        return int(self.directions.shape[1])

    def is_exact(self) -> bool:
        """Whether every sum of products, in any order, is an integer that is exact in float32.

        By the Cauchy-Schwarz inequality no sum, even over some of the dimensions, exceeds the product of
        the lengths. Rounding changes a row by at most 0.5 in each dimension.
        """
        longest = np.linalg.norm(self.directions.astype(np.float64), axis=1).max()
        row = ROW_LENGTH * (1 + 2**-20) + np.sqrt(self.source_dim) / 2
        largest = np.abs(self.thresholds.astype(np.int64)).max()
        return bool(longest * row < EXACT and largest < EXACT)

    def apply_to_queries(self, vectors: NDArray[Any]) -> NDArray[np.uint64]:
        """Project queries as rows."""
        return self.apply(vectors)

    def apply(self, rows: NDArray[Any]) -> NDArray[np.uint64]:
        """Sketch non-zero rows, shape (n, source_dim), to words, shape (n, 16)."""
        return packed(integer_rows(rows) @ self._weights.T > self._limits)

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        return self.directions.astype(np.float32)

    @cached_property
    def _limits(self) -> NDArray[np.float32]:
        return self.thresholds.astype(np.float32)


def integer_rows(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scale rows to length ROW_LENGTH and round half to even: integers as float32."""
    wide = widened(rows)
    # Squares of float16 are exact in float64, and so are their sums for rows as long as CLIP's.
    squares = np.einsum("ij,ij->i", wide, wide, dtype=np.float64)
    wide *= (ROW_LENGTH / np.sqrt(squares)).astype(np.float32)[:, None]
    return np.asarray(np.rint(wide, out=wide))


def fit_rotations(
    blocks: Iterable[NDArray[np.float32]], text_mean: NDArray[np.float64] | None, *, seed: int
) -> Rotations:
    """Fit hyperplanes to a sample of unit rows.

    Parameters
    ----------
    blocks
        The rows, in blocks of shape (n, dim).
    text_mean
        Shape (dim,): the mean of unit text vectors of the same space. The direction from the rows' mean to
        the text mean is excluded from all hyperplanes: it separates texts from images, while images
        differ little along it.
    seed
        The random seed of the rotations.

    Raises
    ------
    InvalidArgument
        The rows do not vary.
    """
    found = moments(blocks)
    gap = None if text_mean is None else text_mean - found.mean
    if gap is not None:
        gap /= np.linalg.norm(gap) or 1.0
    _, head = found.principal(without=gap)
    if len(head) == 0:
        raise InvalidArgument(
            f"the {found.rows:,} rows are all equal, so they cannot be sketched; fit to other rows",
            field="name",
        )
    unit = _rotated(head[:HEAD_DIMS], np.random.default_rng(seed))
    directions = np.rint(unit * DIRECTION_LENGTH)
    thresholds = np.floor(directions @ found.mean * (CENTRE * ROW_LENGTH))
    return Rotations(directions.astype(np.int16), thresholds.astype(np.int32))


def _rotated(head: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return BITS unit vectors, shape (1024, dim): random rotations of the rows of `head`."""
    size = len(head)
    rotated = [
        np.linalg.qr(rng.standard_normal((size, size)))[0] @ head for _ in range(-(-BITS // size))
    ]
    return np.concatenate(rotated)[:BITS]
