"""Sketches of 1,024 bits by random rotations of the leading principal directions.

Each bit says on which side of a hyperplane a row lies. All numbers are small integers whose products and
sums float32 holds exactly, so that no processor, thread or block changes a bit. What was tried
and measured: `docs/decisions/sketches.md`.
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

DEFAULT_FIT_ROWS = 65_536  # enough for 256 principal directions; more change no recall
HEAD_DIMS = 256  # principal directions that are rotated: of CLIP's they carry 92 % of the variance
CENTRE = 0.85  # how far from the origin to the rows' mean the hyperplanes meet

ROW_LENGTH = 4_096  # a row is scaled to this length before it is rounded to integers
DIRECTION_LENGTH = 4_000  # so is a hyperplane's direction; the product stays below EXACT
EXACT = 1 << 24  # up to here float32 holds every integer


@dataclass(frozen=True)
class Rotations:
    """Hyperplanes; bit j of a row x is 1 where directions[j] . x > thresholds[j], all integers.

    Attributes
    ----------
    directions
        (1024, source_dim) int16.
    thresholds
        (1024,) int32.
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
        """Return the model that `arrays()` gave these of.

        Raises
        ------
        ValueError
            They do not fit each other, or are so large that sums would be rounded.
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
        """Return what a model file keeps."""
        return {"directions": self.directions, "thresholds": self.thresholds}

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that it projects."""
        return int(self.directions.shape[1])

    def is_exact(self) -> bool:
        """Whether every sum of products, in any order, is an integer that float32 holds.

        By Cauchy and Schwarz none exceeds the product of the lengths, also over some of the
        dimensions only; rounding makes a row longer by half a unit a dimension at most.
        """
        longest = np.linalg.norm(self.directions.astype(np.float64), axis=1).max()
        row = ROW_LENGTH * (1 + 2**-20) + np.sqrt(self.source_dim) / 2
        largest = np.abs(self.thresholds.astype(np.int64)).max()
        return bool(longest * row < EXACT and largest < EXACT)

    def apply(self, rows: NDArray[Any]) -> NDArray[np.uint64]:
        """Sketch rows (n, source_dim) of any length but zero: (n, 16)."""
        return packed(integer_rows(rows) @ self._weights.T > self._limits)

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        return self.directions.astype(np.float32)

    @cached_property
    def _limits(self) -> NDArray[np.float32]:
        return self.thresholds.astype(np.float32)


def integer_rows(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scale rows to the length ROW_LENGTH and round them, halves to even: integers in float32."""
    wide = widened(rows)
    # Squares of float16 are exact in float64, and so are sums of them for rows of CLIP's lengths.
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
        The rows, in blocks (n, dim).
    text_mean
        (dim,): the mean of unit vectors of the same space that stand for queries in words. All
        hyperplanes are at right angles to the direction from the rows' mean to it, in which every
        text differs from every image, and images among each other little.
    seed
        Of the rotations.

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
            f"the {found.rows:,} rows do not vary: there is nothing to sketch", field="name"
        )
    unit = _rotated(head[:HEAD_DIMS], np.random.default_rng(seed))
    directions = np.rint(unit * DIRECTION_LENGTH)
    thresholds = np.floor(directions @ found.mean * (CENTRE * ROW_LENGTH))
    return Rotations(directions.astype(np.int16), thresholds.astype(np.int32))


def _rotated(head: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return BITS unit vectors: the rows of `head`, rotated at random as often as that takes."""
    size = len(head)
    turns = [
        np.linalg.qr(rng.standard_normal((size, size)))[0] @ head for _ in range(-(-BITS // size))
    ]
    return np.concatenate(turns)[:BITS]
