"""BinWalk, the sketches of the SISAP organisers: 1,024 comparisons of distances to two reference vectors.

Each word compares its 64 references in a circle: bit j of word i is 1 if reference pool[i, j] is nearer to
the row than pool[i, j + 1], by 1 - dot; the last reference is compared with the first. The bits equal
those of exact arithmetic: a comparison within the proven error of float32 is decided in float64, and one
within the error of float64 by an exact sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.bits import BITS, WORDS, packed
from pairdex.derived.projections.rows import widened
from pairdex.files.hdf5 import followed, read_whole

__all__ = ["BinWalk", "draw_pool", "read_organisers"]

_UNIT32, _UNIT64 = 2.0**-24, 2.0**-53  # the relative error of one rounding
_WORD = BITS // WORDS
_PAIRS = 8_192  # bits decided at once in float64: 100 MB with 768 dimensions


@dataclass(frozen=True)
class BinWalk:
    """The organisers' model.

    Attributes
    ----------
    refs
        Shape (1024, source_dim), float32, unit vectors.
    pool
        Shape (16, 64), int32, a permutation of 1 to 1024.
    """

    refs: NDArray[np.float32]
    pool: NDArray[np.int32]

    kind: ClassVar[Literal["hamming"]] = "hamming"
    method: ClassVar[str] = "binwalk"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<u8")
    dim: ClassVar[int] = BITS
    width: ClassVar[int] = WORDS
    explained_variance: ClassVar[None] = None

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> BinWalk:
        """Return the model with the arrays `refs` and `pool`.

        Raises
        ------
        ValueError
            An array has another shape, or `pool` is not a permutation of 1 to 1024.
        """
        refs, pool = np.asarray(arrays["refs"]), np.asarray(arrays["pool"])
        if refs.ndim != 2 or len(refs) != BITS or not np.isfinite(refs).all():
            raise ValueError(
                f"refs have shape {refs.shape}, expected finite values of shape ({BITS}, dim)"
            )
        if pool.shape != (WORDS, _WORD) or set(pool.flat) != set(range(1, BITS + 1)):
            raise ValueError(
                f"pool has shape {pool.shape}, expected a permutation of 1 to {BITS} in {WORDS} rows"
            )
        return cls(np.ascontiguousarray(refs, np.float32), pool.astype(np.int32))

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return the arrays to store in a model file."""
        return {"refs": self.refs, "pool": self.pool}

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that the model projects."""
        return int(self.refs.shape[1])

    def apply_to_queries(self, vectors: NDArray[Any]) -> NDArray[np.uint64]:
        """Project queries as rows."""
        return self.apply(vectors)

    def apply(self, rows: NDArray[Any]) -> NDArray[np.uint64]:
        """Sketch non-zero rows, shape (n, source_dim), to words, shape (n, 16)."""
        wide = widened(rows)  # scaling a row does not change its bits
        lead = wide @ self._weights.T  # positive where the first reference is nearer
        bits = lead > 0
        # The error of a sum of n products in any order is at most n units of the product of the lengths
        # (Higham, Accuracy and Stability of Numerical Algorithms, 3.5). The rounding of the weights and
        # terms in n squared need a few units more.
        lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64))
        error_bounds = ((len(wide.T) + 6) * _UNIT32 * lengths).astype(np.float32)[:, None]
        np.abs(lead, out=lead)
        lead[:, self._is_degenerate] = np.inf
        row, bit = np.divmod(np.flatnonzero(lead < error_bounds), BITS)
        for at in range(0, len(row), _PAIRS):
            some = slice(at, at + _PAIRS)
            bits[row[some], bit[some]] = self._decide(wide, row[some], bit[some])
        return packed(bits)

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each bit, the reference that is nearer if the bit is 1, and the other reference."""
        first = self.pool.astype(np.intp) - 1
        return first.reshape(-1), np.roll(first, -1, axis=1).reshape(-1)

    @cached_property
    def _steps(self) -> NDArray[np.float64]:
        first, second = self._pairs
        return self.refs[first].astype(np.float64) - self.refs[second]

    @cached_property
    def _is_degenerate(self) -> NDArray[np.bool_]:
        """The bits that compare two equal references, which are always 0."""
        return np.asarray(~self._steps.any(axis=1))

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        """The steps as unit vectors, so one error bound holds for all."""
        lengths = np.linalg.norm(self._steps, axis=1) + self._is_degenerate
        return np.asarray(self._steps / lengths[:, None], np.float32)

    def _decide(
        self, wide: NDArray[np.float32], row: NDArray[np.intp], bit: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Decide bits in float64, and where its error is too large by exact sums."""
        products = wide[row].astype(np.float64)
        products *= self._steps[bit]
        lead = products.sum(axis=1)
        np.abs(products, out=products)
        error_bound = (len(wide.T) + 3) * _UNIT64 * products.sum(axis=1)
        decided = lead > 0
        for i in np.flatnonzero(np.abs(lead) < error_bound):
            first, second = self._pairs[0][bit[i]], self._pairs[1][bit[i]]
            decided[i] = exact_dot(wide[row[i]], self.refs[first], self.refs[second]) > 0
        return np.asarray(decided)


def exact_dot(
    row: NDArray[np.float32], first: NDArray[np.float32], second: NDArray[np.float32]
) -> float:
    """Return row . first - row . second, rounded once.

    This works because products of two float32 values are exact in float64.
    """
    wide = row.astype(np.float64)
    return math.fsum([*(wide * first), *(-wide * second)])


def draw_pool(rng: np.random.Generator) -> NDArray[np.int32]:
    """Return a random pool."""
    return (rng.permutation(BITS) + 1).astype(np.int32).reshape(WORDS, _WORD)


def read_organisers(file: h5py.File) -> BinWalk | None:
    """Read a model file of the organisers; None if the file is something else.

    The file has the datasets `refs` and `pool`, or one compound `model` with references to them, as
    written by Julia's JLD2. Julia's first dimension is our last.

    Raises
    ------
    ValueError
        The arrays are not a valid model.
    """
    if "refs" in file and "pool" in file:
        return BinWalk.from_arrays({name: read_whole(file[name]) for name in ("refs", "pool")})
    if "model" not in file or file["model"].dtype.names != ("refs", "pool"):
        return None
    model = read_whole(file["model"])
    arrays = {
        "refs": followed(file, model["refs"]["matrix"]),
        "pool": followed(file, model["pool"]),
    }
    return BinWalk.from_arrays(arrays)
