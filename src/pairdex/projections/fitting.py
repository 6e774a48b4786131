"""What is asked of a projection's model, and having such a model: fitted, or taken from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pairdex.errors import InvalidArgument, Mismatch
from pairdex.projections.files import ON, check_name, source_of
from pairdex.projections.models import Fit, Model, read_model
from pairdex.projections.pca import fit_pca
from pairdex.projections.rows import fit_blocks, vector_files
from pairdex.store.store import Store

__all__ = ["Wish", "fit_model", "given_model"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wish:
    """What is asked of a projection's model; None leaves it open.

    Attributes
    ----------
    model
        A file to take it from.
    fit_rows
        How many rows to fit to; all by default.
    """

    model: Path | None = None
    fit_rows: int | None = None

    def is_met_by(self, fit: Fit | None) -> bool:
        """Whether a model that is in use is what is asked for."""
        rows = None if fit is None else fit.rows
        return self.fit_rows in (None, rows)

    def would_give(self, fit: Fit | None, source: str) -> bool:
        """Whether a model, left by an interrupted run, is the very one that a fit would give."""
        if fit is None or fit.source != source:
            return False
        return fit.everything if self.fit_rows is None else fit.rows == self.fit_rows


def given_model(store: Store, name: str, path: Path) -> tuple[Model, Fit | None]:
    """Read the model in a file, which must make what `name` says of the collection's vectors.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no model, or not a whole one.
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


def fit_model(store: Store, name: str, wish: Wish, progress: Progress | None) -> tuple[Model, Fit]:
    """Fit the model that `name` says to the collection's vectors.

    Raises
    ------
    InvalidArgument
        Too few rows, or more components than directions.
    """
    kind, dim = check_name(name)
    if store.rows == 0:
        raise InvalidArgument(
            f"{store.path} has no rows to fit a model to; give one with --model", field="model"
        )
    blocks = fit_blocks(vector_files(store, ON), wish.fit_rows, progress)
    assert kind == "pca"
    assert dim is not None
    model = fit_pca(blocks, dim)
    rows = wish.fit_rows or store.rows
    return model, Fit(rows, rows == store.rows, source_of(store))
