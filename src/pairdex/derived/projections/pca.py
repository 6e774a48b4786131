"""PCA: rows of unit length, less their mean, in the directions in which they vary most.

The squared Euclidean distance in those coordinates stands for 1 - cos of the vectors.
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

__all__ = ["Pca", "fit_pca"]


@dataclass(frozen=True)
class Pca:
    """A fitted PCA.

    Attributes
    ----------
    mean
        (source_dim,) float64: the mean of the unit rows it was fitted to.
    components
        (dim, source_dim) float64, orthonormal, by falling variance; the entry of largest
        magnitude of each is positive (the first of them, should there be two).
    variances
        (dim,) float64: the rows' variance along each component, n - 1 in the denominator.
    total_variance
        Along all dimensions.
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
        """Return the model that `arrays()` gave these of.

        Raises
        ------
        ValueError
            They do not fit each other.
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
                f"{model.mean.shape} do not fit each other"
            )
        return model

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return what a model file keeps."""
        return {
            "mean": self.mean,
            "components": self.components,
            "variances": self.variances,
            "total_variance": self.total_variance,
        }

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that it projects."""
        return int(self.components.shape[1])

    @property
    def dim(self) -> int:
        """How many components it keeps."""
        return len(self.components)

    @property
    def width(self) -> int:
        """How many numbers a projected row has."""
        return self.dim

    @property
    def explained_variance(self) -> float:
        """The share of the rows' variance that the components carry, 0 to 1."""
        return float(self.variances.sum() / self.total_variance)

    def apply(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Project rows (n, source_dim) of any length but zero to (n, dim) float32."""
        weights = self.components.astype(np.float32)
        offset = (self.components @ self.mean).astype(np.float32)
        return np.asarray(unit_rows(rows) @ weights.T - offset, np.float32)


def fit_pca(blocks: Iterable[NDArray[np.float32]], dim: int) -> Pca:
    """Fit the `dim` directions of largest variance in one pass over blocks of unit rows.

    Raises
    ------
    InvalidArgument
        `dim` is below 1, more than the rows' dimension, or more than the directions they vary in.
    """
    found = moments(blocks)
    _check_dim(dim, len(found.mean))
    if found.rows <= dim:
        raise InvalidArgument(
            f"a PCA of {dim} components needs more rows than that, got {found.rows:,}: "
            "fit it to more rows or ask for fewer components",
            field="fit_rows",
        )
    variances, directions = found.principal()
    if len(variances) < dim:
        raise InvalidArgument(
            f"the {found.rows:,} rows vary in {len(variances)} directions only, too few for "
            f"{dim} components: fit to other rows or ask for fewer components",
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
            f"a PCA of {dim} components is asked for, the vectors have {source_dim} dimensions: "
            f"name pca1 to pca{source_dim}",
            field="name",
        )
