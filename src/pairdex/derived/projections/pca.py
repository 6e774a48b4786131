"""PCA: centred unit rows in the coordinates of their directions of largest variance.

The squared Euclidean distance in these coordinates approximates 2 (1 - cos) of the vectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.moments import moments
from pairdex.derived.projections.rows import unit_rows
from pairdex.errors import InvalidArgument
from pairdex.wording import counted

__all__ = ["Pca", "fit_pca"]


@dataclass(frozen=True)
class Pca:
    """A fitted PCA.

    Attributes
    ----------
    mean
        Shape (source_dim,), float64: the mean of the unit rows that the model was fitted to.
    components
        Shape (dim, source_dim), float64, orthonormal, by descending variance. The first entry of largest
        magnitude in each component is positive.
    variances
        Shape (dim,), float64: the variance of the rows along each component, divided by n - 1.
    total_variance
        The variance along all dimensions.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    variances: NDArray[np.float64]
    total_variance: float

    kind: ClassVar[Literal["pca"]] = "pca"
    method: ClassVar[str] = "pca"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<f4")

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Pca:
        """Return the model with the arrays that `arrays()` returned.

        Raises
        ------
        ValueError
            The shapes do not match each other.
        """
        model = cls(
            mean=np.asarray(arrays["mean"], np.float64),
            components=np.asarray(arrays["components"], np.float64),
            variances=np.asarray(arrays["variances"], np.float64),
            total_variance=float(arrays["total_variance"]),
        )
        shape = model.components.shape
        if len(shape) != 2 or (*model.variances.shape, *model.mean.shape) != shape:
            raise ValueError(
                f"components {shape}, variances {model.variances.shape} and mean "
                f"{model.mean.shape} do not match each other"
            )
        return model

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return the arrays and numbers to store in a model file."""
        return {
            "mean": self.mean,
            "components": self.components,
            "variances": self.variances,
            "total_variance": self.total_variance,
        }

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that the model projects."""
        return int(self.components.shape[1])

    @property
    def dim(self) -> int:
        """The number of components."""
        return len(self.components)

    @property
    def width(self) -> int:
        """The number of values of a projected row."""
        return self.dim

    @property
    def explained_variance(self) -> float:
        """The share of the rows' variance along the components, 0 to 1."""
        return float(self.variances.sum() / self.total_variance)

    def apply(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Project non-zero rows, shape (n, source_dim), to float32, shape (n, dim)."""
        weights = self.components.astype(np.float32)
        offset = (self.components @ self.mean).astype(np.float32)
        return np.asarray(unit_rows(rows) @ weights.T - offset, np.float32)


def fit_pca(blocks: Iterable[NDArray[np.float32]], dim: int) -> Pca:
    """Fit a PCA of `dim` components in one pass over blocks of unit rows, shape (n, source_dim).

    Raises
    ------
    InvalidArgument
        `dim` is less than 1, or exceeds the rows' dimension, the number of directions with variance, or
        the number of rows minus 1.
    """
    found = moments(blocks)
    _check_dim(dim, len(found.mean))
    if found.rows <= dim:
        raise InvalidArgument(
            f"a PCA of {dim} components needs at least {counted(dim + 1, 'row')}, got {found.rows:,}; fit it to "
            "more rows or choose fewer components",
            field="fit_rows",
        )
    variances, directions = found.principal()
    if len(variances) < dim:
        raise InvalidArgument(
            f"the {found.rows:,} rows vary in only {len(variances)} directions, too few for {dim} "
            "components; fit it to other rows or choose fewer components",
            field="name",
        )
    return Pca(
        mean=found.mean,
        components=_with_signs(directions[:dim]),
        variances=variances[:dim].copy(),
        total_variance=float(np.trace(found.covariance)),
    )


def _with_signs(components: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.ascontiguousarray(components * signs[:, None])


def _check_dim(dim: int, source_dim: int) -> None:
    if not 1 <= dim <= source_dim:
        raise InvalidArgument(
            f"a PCA of {dim} components does not exist for vectors of {source_dim} dimensions, "
            f"expected pca1 to pca{source_dim}",
            field="name",
        )
