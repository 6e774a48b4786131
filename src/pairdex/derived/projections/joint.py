"""Projections for images and texts: rows are projected as images, and text queries by a map of their own.

A text's vector lies far from all images, in nearly one direction, the gap. A query on the texts' side of
the middle between both means counts as a text. `docs/decisions/text-projections.md` has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.bits import BITS, WORDS, packed
from pairdex.derived.projections.moments import Moments, moments
from pairdex.derived.projections.rotations import Rotations, fit_rotations, integer_rows
from pairdex.derived.projections.rows import unit_rows
from pairdex.errors import InvalidArgument

__all__ = [
    "JointPca",
    "JointRotations",
    "fit_joint_pca",
    "fit_joint_rotations",
    "joint_from_arrays",
]

TEXT_SHARE = 0.06  # weight of the texts' second moment beside the images' covariance
SHARES = np.arange(2, 11) / 10  # of an image query's residual, to choose from
_SHARE_ROWS, _SHARE_QUERIES, _SHARE_K = 16_384, 256, 10  # what the choice is measured on
TEXT_LENGTH = 100.0  # makes the rows' lengths negligible, so that products rank the rows


@dataclass(frozen=True)
class Gap:
    """The direction from images to texts, (dim,) of length 1, and where texts begin along it."""

    direction: NDArray[np.float64]
    limit: float

    @classmethod
    def between(cls, images: NDArray[np.float64], texts: NDArray[np.float64]) -> Gap:
        """Return the gap between the means of unit image and text vectors."""
        step = texts - images
        direction = step / (np.linalg.norm(step) or 1.0)
        return cls(direction, float(direction @ (images + texts) / 2))

    def is_beyond(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which unit rows (n, dim) are texts, (n,)."""
        return np.asarray(rows.astype(np.float64) @ self.direction > self.limit)

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return the arrays to store in a model file."""
        return {"gap": self.direction, "gap_limit": self.limit}


@dataclass(frozen=True)
class JointPca:
    """Coordinates in directions that matter to images and to texts, and the length of the residual.

    Attributes
    ----------
    mean
        Shape (source_dim,): the mean of the unit rows.
    components
        Shape (dim - 1, source_dim), orthonormal. The last coordinate of a row is its residual, the length
        of what they leave of it.
    text_map
        Shape (dim, source_dim): the best linear estimate of the product of a text with a row, from the
        row's coordinates, scaled.
    query_share
        What an image query's residual is multiplied by: those of two rows lie at nearly right angles, so
        that a query with the whole of its own would be nearest to rows with long ones.
    gap
        Which queries are texts.
    explained_variance
        The share of the rows' variance along the components.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    text_map: NDArray[np.float64]
    query_share: float
    gap: Gap
    explained_variance: float

    kind: ClassVar[Literal["pca"]] = "pca"
    method: ClassVar[str] = "joint"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<f4")

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> JointPca:
        """Return the model with the arrays that `arrays()` returned.

        Raises
        ------
        ValueError
            The shapes do not match each other.
        """
        wide = {name: np.asarray(value, np.float64) for name, value in arrays.items()}
        gap = Gap(wide["gap"], float(arrays["gap_limit"]))
        model = cls(
            wide["mean"],
            wide["components"],
            wide["text_map"],
            float(arrays["query_share"]),
            gap,
            float(arrays["explained_variance"]),
        )
        n, dim = model.components.shape if model.components.ndim == 2 else (0, 0)
        if (n + 1, dim) != model.text_map.shape or not model.mean.shape == gap.direction.shape == (
            dim,
        ):
            raise ValueError(
                f"components {model.components.shape}, text_map {model.text_map.shape}, mean "
                f"{model.mean.shape} and gap {gap.direction.shape} do not match each other"
            )
        return model

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return the arrays and numbers to store in a model file."""
        return {
            "mean": self.mean,
            "components": self.components,
            "text_map": self.text_map,
            "query_share": self.query_share,
            "explained_variance": self.explained_variance,
            **self.gap.arrays(),
        }

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that the model projects."""
        return int(self.components.shape[1])

    @property
    def dim(self) -> int:
        """The number of coordinates."""
        return len(self.text_map)

    @property
    def width(self) -> int:
        """The number of values of a projected row."""
        return self.dim

    def apply(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Project non-zero rows, shape (n, source_dim), to float32, shape (n, dim)."""
        return self._with_residual(unit_rows(rows), 1.0)

    def apply_to_queries(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Project non-zero query vectors, shape (n, source_dim), to float32, shape (n, dim)."""
        units = unit_rows(vectors)
        projected = self._with_residual(units, self.query_share)
        is_text = self.gap.is_beyond(units)
        projected[is_text] = units[is_text] @ self.text_map.astype(np.float32).T
        return projected

    def _with_residual(self, units: NDArray[np.float32], share: float) -> NDArray[np.float32]:
        centred = units - self.mean.astype(np.float32)
        inside = centred @ self.components.astype(np.float32).T
        squares = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", inside, inside)
        residual = np.float32(share) * np.sqrt(np.maximum(squares, 0))
        return np.hstack([inside, residual[:, None]]).astype(np.float32)


@dataclass(frozen=True)
class JointRotations:
    """Sketches of rows through a point near their mean, and of text queries through the origin."""

    rows: Rotations
    gap: Gap

    kind: ClassVar[Literal["hamming"]] = "hamming"
    method: ClassVar[str] = "joint"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<u8")
    dim: ClassVar[int] = BITS
    width: ClassVar[int] = WORDS
    explained_variance: ClassVar[None] = None

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> JointRotations:
        """Return the model with the arrays that `arrays()` returned; raises ValueError as `Rotations`."""
        gap = Gap(np.asarray(arrays["gap"], np.float64), float(arrays["gap_limit"]))
        model = cls(Rotations.from_arrays(arrays), gap)
        if gap.direction.shape != (model.source_dim,):
            raise ValueError(f"gap has shape {gap.direction.shape}, expected ({model.source_dim},)")
        return model

    def arrays(self) -> dict[str, NDArray[Any] | float]:
        """Return the arrays to store in a model file."""
        return {**self.rows.arrays(), **self.gap.arrays()}

    @property
    def source_dim(self) -> int:
        """The dimension of the vectors that the model projects."""
        return self.rows.source_dim

    def apply(self, rows: NDArray[Any]) -> NDArray[np.uint64]:
        """Sketch non-zero rows, shape (n, source_dim), to words, shape (n, 16)."""
        return self.rows.apply(rows)

    def apply_to_queries(self, vectors: NDArray[Any]) -> NDArray[np.uint64]:
        """Sketch non-zero query vectors, shape (n, source_dim), to words, shape (n, 16)."""
        sketches = self.apply(vectors)
        is_text = self.gap.is_beyond(unit_rows(vectors))
        directions = self.rows.directions.astype(np.float32)
        sketches[is_text] = packed(integer_rows(vectors[is_text]) @ directions.T > 0)
        return sketches


def joint_from_arrays(arrays: dict[str, Any]) -> JointPca | JointRotations:
    """Return the model of method `joint` with these arrays; raises ValueError if they do not match."""
    model = JointRotations if "directions" in arrays else JointPca
    return model.from_arrays(arrays)


def fit_joint_pca(
    images: list[NDArray[np.float32]], texts: list[NDArray[np.float32]], dim: int
) -> JointPca:
    """Fit a projection of `dim` coordinates to blocks of unit image and text vectors (n, source_dim).

    Raises
    ------
    InvalidArgument
        `dim` is less than 2 or exceeds the directions in which the rows vary.
    """
    found, of_texts = moments(images), moments(texts)
    components = _shared_directions(found, of_texts, dim - 1)
    gap = Gap.between(found.mean, of_texts.mean)
    inside = np.einsum("id,de,ie->", components, found.covariance, components)
    explained = float(inside / np.trace(found.covariance))
    no_map = np.zeros((dim, len(found.mean)))
    model = JointPca(found.mean, components, no_map, 1.0, gap, explained)
    text_map = _text_map(model, images)
    lengths = np.linalg.norm(np.concatenate(texts) @ text_map.T, axis=1)
    scale = TEXT_LENGTH / (float(lengths.mean()) or 1.0)
    query_share = _best_share(model, np.concatenate(images))
    return replace(model, text_map=text_map * scale, query_share=query_share)


def fit_joint_rotations(
    images: list[NDArray[np.float32]], texts: list[NDArray[np.float32]], *, seed: int
) -> JointRotations:
    """Fit sketches to blocks of unit image and text vectors (n, dim); raises as `fit_rotations`."""
    gap = Gap.between(moments(images).mean, moments(texts).mean)
    return JointRotations(fit_rotations(images, None, seed=seed), gap)


def _shared_directions(images: Moments, texts: Moments, count: int) -> NDArray[np.float64]:
    """Return orthonormal directions (count, dim) of what queries of both kinds ask rows for.

    The best rank for the products of queries and centred rows is that of the root of the queries' second
    moment times the root of the rows' covariance.
    """
    variances, principal = images.principal()
    if not 1 <= count <= len(variances):
        raise InvalidArgument(
            f"the rows vary in {len(variances)} directions, expected pca2 to pca{len(variances) + 1} of "
            "method joint",
            field="name",
        )
    covariance = images.covariance
    asked = texts.covariance + np.outer(texts.mean, texts.mean)
    mixed = TEXT_SHARE * asked / np.trace(asked @ covariance)
    mixed += (1 - TEXT_SHARE) * covariance / np.trace(covariance @ covariance)
    roots = np.sqrt(variances)[:, None] * principal
    _, vectors = np.linalg.eigh(roots @ mixed @ roots.T)
    best = vectors[:, ::-1][:, :count]
    columns = (principal / np.sqrt(variances)[:, None]).T @ best
    return np.ascontiguousarray(np.linalg.qr(columns)[0].T)


def _text_map(model: JointPca, images: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Regress the centred rows on their coordinates, (dim, source_dim)."""
    dim, source_dim = model.text_map.shape
    squares, products = np.zeros((dim, dim)), np.zeros((dim, source_dim))
    projected = [model.apply(block) for block in images]
    mean = np.concatenate(projected).mean(axis=0, dtype=np.float64)
    for block, points in zip(images, projected, strict=True):
        coordinates = points - mean
        squares += coordinates.T @ coordinates
        products += coordinates.T @ (block - model.mean)
    ridge = 1e-9 * np.trace(squares) * np.eye(dim)
    return np.asarray(np.linalg.solve(squares + ridge, products))


def _best_share(model: JointPca, rows: NDArray[np.float32]) -> float:
    """Return the share of SHARES that finds the most of the 10 nearest rows of a sample of the rows."""
    rows = rows[:: max(1, len(rows) // _SHARE_ROWS)]
    own = np.arange(0, len(rows), max(1, len(rows) // _SHARE_QUERIES))[:_SHARE_QUERIES]
    k = min(_SHARE_K, len(rows) - 1)
    if k < 1:
        return float(SHARES[-1])
    points = model.apply(rows).astype(np.float64)
    inside, residual = points[:, :-1], points[:, -1]
    squares = np.einsum("ij,ij->i", inside, inside)
    apart = squares[own, None] - 2 * inside[own] @ inside.T + squares
    true = _first(-(rows[own] @ rows.T).astype(np.float64), own, k)
    found = [
        _first(apart + (share * residual[own, None] - residual) ** 2, own, k) for share in SHARES
    ]
    hits = [int(np.sum(true[:, :, None] == one[:, None, :])) for one in found]
    return float(SHARES[int(np.argmax(hits))])


def _first(distances: NDArray[np.float64], own: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the k columns of the smallest values in each row, (n, k) in no order, without its own."""
    distances[np.arange(len(own)), own] = np.inf
    return np.argpartition(distances, k - 1, axis=1)[:, :k]
