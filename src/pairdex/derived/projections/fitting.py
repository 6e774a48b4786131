"""What is asked of a projection's model, and having such a model: fitted, or taken from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.binwalk import BinWalk, draw_pool
from pairdex.derived.projections.bits import BITS
from pairdex.derived.projections.files import ON, check_name
from pairdex.derived.projections.models import Fit, Model, read_model
from pairdex.derived.projections.moments import moments
from pairdex.derived.projections.pca import fit_pca
from pairdex.derived.projections.rotations import DEFAULT_FIT_ROWS, fit_rotations
from pairdex.derived.projections.rows import draw_live, fit_blocks, unit_rows, vector_files
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["DEFAULT_METHOD", "SketchMethod", "Wish", "fit_model", "given_model"]

SketchMethod = Literal["rotations", "binwalk"]
DEFAULT_METHOD: SketchMethod = "rotations"
_DEFAULT_SEED = 0


@dataclass(frozen=True)
class Wish:
    """What is asked of a projection's model; None leaves it open.

    Attributes
    ----------
    model
        A file to take it from; nothing else can be asked then.
    fit_rows
        How many rows to fit to: all by default, for `rotations` 65,536.
    method, seed
        How sketches are made, and what their random choices come from: `rotations` and 0 by default.
    """

    model: Path | None = None
    fit_rows: int | None = None
    method: SketchMethod | None = None
    seed: int | None = None

    def check(self, name: str) -> None:
        """Raise InvalidArgument where things are asked that do not go together."""
        kind, _ = check_name(name)
        asked = [what for what in ("fit_rows", "method", "seed") if getattr(self, what) is not None]
        if self.model is not None and asked:
            raise InvalidArgument(
                f"a model that is given is not fitted: leave out {asked[0].replace('_', '-')}",
                field=asked[0],
            )
        if self.method == "binwalk" and self.fit_rows is not None:
            raise InvalidArgument("binwalk is not fitted: leave out fit-rows", field="fit_rows")
        for what, least in (("fit_rows", 1), ("seed", 0)):
            if (value := getattr(self, what)) is not None and value < least:
                raise InvalidArgument(
                    f"{what.replace('_', '-')} is {value}, expected at least {least}", field=what
                )
        drawn = [what for what in asked if what != "fit_rows"]
        if kind == "pca" and drawn:
            raise InvalidArgument(f"{name} takes no {drawn[0]}, only hamming does", field=drawn[0])

    def is_met_by(self, model: Model, fit: Fit | None) -> bool:
        """Whether a model that is in use is what is asked for."""
        rows, seed = (None, None) if fit is None else (fit.rows, fit.seed)
        return (
            self.fit_rows in (None, rows)
            and self.method in (None, model.method)
            and self.seed in (None, seed)
        )

    def completed(self, name: str, rows: int) -> Wish:
        """Return the options of a fit to `rows` rows, with every default filled in."""
        if check_name(name)[0] == "pca":
            return Wish(fit_rows=self.fit_rows or rows, method=None, seed=None)
        method = self.method or DEFAULT_METHOD
        default = rows if method == "binwalk" else min(rows, DEFAULT_FIT_ROWS)
        seed = _DEFAULT_SEED if self.seed is None else self.seed
        return Wish(fit_rows=self.fit_rows or default, method=method, seed=seed)


def given_model(store: Store, name: str, path: Path) -> tuple[Model, Fit | None]:
    """Read the model in a file, which must make what `name` says of the collection's vectors.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        The model is missing or damaged.
    Mismatch
        It is for vectors of another dimension, or makes something else.
    """
    model, fit = read_model(path)
    if model.source_dim != store.dim:
        raise Mismatch(
            f"{path} is for vectors of {model.source_dim} dimensions, {store.path} has {store.dim}"
        )
    made = f"pca{model.dim}" if model.kind == "pca" else model.kind
    if made != name:
        raise Mismatch(f"{path} makes {made}, expected {name}: another file, or another name")
    return model, fit


def fit_model(
    store: Store, name: str, wish: Wish, progress: StepProgress | None
) -> tuple[Model, Fit]:
    """Fit the model that `name` and a completed wish say to the collection's vectors.

    Raises
    ------
    InvalidArgument
        Too few rows, or more components than directions.
    """
    if store.rows == 0:
        raise InvalidArgument(
            f"{store.path} has no rows to fit a model to; give one with --model", field="model"
        )
    wish = wish.completed(name, store.rows)
    assert wish.fit_rows is not None, "it is completed"
    fit = Fit(wish.fit_rows, store.manifest.vectors_checksum(ON), wish.seed)
    _, dim = check_name(name)
    if wish.method == "binwalk":
        return _fit_binwalk(store, fit), fit
    blocks = fit_blocks(vector_files(store, ON), fit.rows, progress)
    if dim is not None:
        return fit_pca(blocks, dim), fit
    assert fit.seed is not None, "it is completed"
    return fit_rotations(blocks, _text_mean(store), seed=fit.seed), fit


def _fit_binwalk(store: Store, fit: Fit) -> BinWalk:
    """Take 1,024 rows at random as references; none that was removed."""
    rng = np.random.default_rng(fit.seed)
    ids = draw_live(store, BITS, rng)
    if len(ids) < BITS:
        raise InvalidArgument(
            f"binwalk takes {BITS:,} rows as references, {store.path} has {len(ids):,}: "
            "give a model with --model",
            field="method",
        )
    return BinWalk(unit_rows(store.vectors(ON)[ids]), draw_pool(rng))


def _text_mean(store: Store) -> NDArray[np.float64] | None:
    """Return the mean of the text vectors, of 65,536 at most, where the collection has them."""
    if "text" not in store.manifest.vectors:
        return None
    blocks = fit_blocks(vector_files(store, "text"), min(store.rows, DEFAULT_FIT_ROWS))
    return moments(blocks).mean
