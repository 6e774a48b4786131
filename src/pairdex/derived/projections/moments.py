"""Mean and covariance of unit rows in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments", "moments"]

# Eigenvalues below this share of the largest are rounding errors of zero: products of float32 rows have
# errors up to 6e-8 of the largest product, which average out over the rows.
_NO_VARIANCE = 1e-7


@dataclass(frozen=True)
class Moments:
    """The number of rows, their mean, shape (dim,), and their covariance, shape (dim, dim)."""

    rows: int
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def principal(
        self, without: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return variances, shape (n,), and principal directions, shape (n, dim), by descending variance.

        Directions without variance are left out.

        Parameters
        ----------
        without
            A unit vector, shape (dim,). All directions are orthogonal to it.
        """
        covariance = self.covariance
        if without is not None:
            others = np.eye(len(without)) - np.outer(without, without)
            covariance = others @ covariance @ others
        values, columns = np.linalg.eigh(covariance)
        # Rows of unit length are rounded to float32: smaller variances carry no information.
        floor = max(_NO_VARIANCE * values[-1], np.finfo(np.float32).eps ** 2)
        kept = int(np.count_nonzero(values > floor))
        return values[::-1][:kept], np.ascontiguousarray(columns.T[::-1][:kept])


def moments(blocks: Iterable[NDArray[np.float32]]) -> Moments:
    """Compute the moments of blocks of unit rows, shape (n, dim); the covariance divides by n - 1.

    Rows are shifted by the first block's mean, which avoids cancellation. Products within a block are
    computed in float32 and added up in float64. The eigenvalues agree with those of float64 products,
    which cost four times as much, to 1e-7 of the largest (`docs/projections.md`).
    """
    rows = 0
    for block in blocks:
        if rows == 0:
            dim = block.shape[1]
            shift = block.mean(axis=0, dtype=np.float64).astype(np.float32)
            total, products = np.zeros(dim), np.zeros((dim, dim))
        shifted = block - shift
        total += shifted.sum(axis=0, dtype=np.float64)
        products += shifted.T @ shifted
        rows += len(block)
    assert rows > 0, "the caller gives at least one row"
    mean = total / rows
    covariance = (products - rows * np.outer(mean, mean)) / max(1, rows - 1)
    return Moments(rows, shift + mean, covariance)
