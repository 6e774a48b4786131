"""The options of a projection's model, and getting the model: fit it, or read it from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.binwalk import BinWalk, draw_pool
from pairdex.derived.projections.bits import BITS
from pairdex.derived.projections.files import ON, check_name
from pairdex.derived.projections.joint import (
    JointPca,
    JointRotations,
    fit_joint_pca,
    fit_joint_rotations,
)
from pairdex.derived.projections.methods import DEFAULT_METHOD, METHODS, Method
from pairdex.derived.projections.models import Fit, Model, read_model
from pairdex.derived.projections.moments import moments
from pairdex.derived.projections.pca import fit_pca
from pairdex.derived.projections.rotations import DEFAULT_FIT_ROWS, fit_rotations
from pairdex.derived.projections.rows import draw_live, fit_blocks, unit_rows, vector_files
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["FitOptions", "fit_model", "given_model"]

_DEFAULT_SEED = 0


@dataclass(frozen=True)
class FitOptions:
    """The options of a projection's model; None means the default.

    Attributes
    ----------
    model
        The file to read the model from. It excludes all other options.
    fit_rows
        The number of rows to fit to. Default: all; for `rotations` and `joint` 65,536.
    method, seed
        The method, and the random seed of sketches. Defaults: `pca`, for sketches `rotations`; and 0.
    """

    model: Path | None = None
    fit_rows: int | None = None
    method: Method | None = None
    seed: int | None = None

    def check(self, name: str) -> None:
        """Raise InvalidArgument if an option is out of range, or options exclude each other."""
        kind, _ = check_name(name)
        asked = [what for what in ("fit_rows", "method", "seed") if getattr(self, what) is not None]
        if self.model is not None and asked:
            raise InvalidArgument(
                f"a model read from a file is not fitted: omit {asked[0].replace('_', '-')}",
                field=asked[0],
            )
        if self.method == "binwalk" and self.fit_rows is not None:
            raise InvalidArgument("binwalk is not fitted: omit fit-rows", field="fit_rows")
        for what, least in (("fit_rows", 1), ("seed", 0)):
            if (value := getattr(self, what)) is not None and value < least:
                raise InvalidArgument(
                    f"{what.replace('_', '-')} is {value}, expected at least {least}", field=what
                )
        if self.method is not None and self.method not in METHODS[kind]:
            raise InvalidArgument(
                f"{name} has no method {self.method}, expected {' or '.join(METHODS[kind])}",
                field="method",
            )
        if kind == "pca" and self.seed is not None:
            raise InvalidArgument(f"{name} has no option seed; only hamming has it", field="seed")

    def is_met_by(self, model: Model, fit: Fit | None) -> bool:
        """Whether an existing model matches the options."""
        rows, seed = (None, None) if fit is None else (fit.rows, fit.seed)
        return (
            self.fit_rows in (None, rows)
            and self.method in (None, model.method)
            and self.seed in (None, seed)
        )

    def completed(self, name: str, rows: int) -> FitOptions:
        """Return the options for a collection of `rows` rows, with all defaults filled in."""
        if check_name(name)[0] == "pca":
            most = min(rows, DEFAULT_FIT_ROWS) if self.method == "joint" else rows
            return FitOptions(fit_rows=self.fit_rows or most, method=self.method, seed=None)
        method = self.method or DEFAULT_METHOD
        default = rows if method == "binwalk" else min(rows, DEFAULT_FIT_ROWS)
        seed = _DEFAULT_SEED if self.seed is None else self.seed
        return FitOptions(fit_rows=self.fit_rows or default, method=method, seed=seed)


def given_model(store: Store, name: str, path: Path) -> tuple[Model, Fit | None]:
    """Read a model file, and check that it makes the projection `name` of the collection's vectors.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        The file is missing or damaged, or is not a model.
    Mismatch
        The model takes vectors of another dimension, or makes another projection.
    """
    model, fit = read_model(path)
    if model.source_dim != store.dim:
        raise Mismatch(
            f"{path} takes vectors of {model.source_dim} dimensions, {store.path} has {store.dim}; name "
            "a model for these vectors"
        )
    made = f"pca{model.dim}" if model.kind == "pca" else model.kind
    if made != name:
        raise Mismatch(f"{path} makes {made}, expected {name}; name another model or projection")
    return model, fit


def fit_model(
    store: Store, name: str, options: FitOptions, progress: StepProgress | None
) -> tuple[Model, Fit]:
    """Fit the model of the projection `name` to the collection's vectors.

    Raises
    ------
    InvalidArgument
        The collection has too few rows, or the vectors vary in fewer directions than components.
    """
    if store.rows == 0:
        raise InvalidArgument(
            f"{store.path} has no rows to fit a model to; name a model with --model", field="model"
        )
    options = options.completed(name, store.rows)
    assert options.fit_rows is not None, "completed() fills it in"
    fit = Fit(options.fit_rows, store.manifest.vectors_checksum(ON), options.seed)
    _, dim = check_name(name)
    if options.method == "binwalk":
        return _fit_binwalk(store, fit), fit
    blocks = fit_blocks(vector_files(store, ON), fit.rows, progress)
    if options.method == "joint":
        return _fit_joint(store, blocks, dim, fit), fit
    if dim is not None:
        return fit_pca(blocks, dim), fit
    assert fit.seed is not None, "completed() fills it in"
    return fit_rotations(blocks, _text_mean(store), seed=fit.seed), fit


def _fit_joint(
    store: Store, blocks: Iterator[NDArray[np.float32]], dim: int | None, fit: Fit
) -> JointPca | JointRotations:
    """Fit to image and text vectors: coordinates, or sketches if `dim` is None."""
    texts = list(_text_blocks(store))
    if not texts:
        raise InvalidArgument(
            f"{store.path} has no text vectors, which the method joint is fitted to", field="method"
        )
    images = list(blocks)  # at most 65,536 rows, or as many as were asked for
    if dim is not None:
        return fit_joint_pca(images, texts, dim)
    assert fit.seed is not None, "completed() fills it in"
    return fit_joint_rotations(images, texts, seed=fit.seed)


def _fit_binwalk(store: Store, fit: Fit) -> BinWalk:
    """Draw 1,024 live rows as references."""
    rng = np.random.default_rng(fit.seed)
    ids = draw_live(store, BITS, rng)
    if len(ids) < BITS:
        raise InvalidArgument(
            f"binwalk needs {BITS:,} rows as references, {store.path} has {len(ids):,}; name a model "
            "with --model",
            field="method",
        )
    return BinWalk(unit_rows(store.vectors(ON)[ids]), draw_pool(rng))


def _text_mean(store: Store) -> NDArray[np.float64] | None:
    """Return the mean, shape (dim,), of at most 65,536 text vectors; None if there are none."""
    return moments(_text_blocks(store)).mean if "text" in store.manifest.vectors else None


def _text_blocks(store: Store) -> Iterator[NDArray[np.float32]]:
    """Yield at most 65,536 unit text vectors in blocks; none if there are none."""
    if "text" in store.manifest.vectors:
        yield from fit_blocks(vector_files(store, "text"), min(store.rows, DEFAULT_FIT_ROWS))
