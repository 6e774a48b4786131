"""The models of projections: what they have in common, and the HDF5 files they are kept in.

A model file holds its arrays as datasets and says in attributes what it is and what it was fitted to.
The same model gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.binwalk import BinWalk, read_organisers
from pairdex.derived.projections.pca import Pca
from pairdex.derived.projections.rotations import Rotations
from pairdex.errors import DamagedFile, MissingFile, PairdexError, UnsupportedFormat
from pairdex.files.vectors import READ_ERRORS
from pairdex.version import __version__

__all__ = ["Fit", "Model", "ProjectionKind", "model_bytes", "read_model"]

ProjectionKind = Literal["pca", "hamming"]

FORMAT = "pairdex-projection-model"
FORMAT_VERSION = 1


class Model(Protocol):
    """Projects vectors of `source_dim` dimensions to `width` numbers of `dtype`.

    `dim` is what the distance counts: components, or bits.
    """

    @property
    def kind(self) -> ProjectionKind: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def source_dim(self) -> int: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def explained_variance(self) -> float | None: ...  # noqa: D102

    def apply(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Project rows (n, source_dim) of any length but zero to (n, width)."""

    def arrays(self) -> Mapping[str, NDArray[Any] | float]:
        """Return what a model file keeps: arrays and numbers by name."""


@dataclass(frozen=True)
class Fit:
    """What a model was fitted to.

    Attributes
    ----------
    rows
        How many rows.
    source
        The checksum of the vectors they were taken from.
    seed
        Of what was drawn at random; None where nothing was.
    """

    rows: int
    source: str
    seed: int | None = None


def model_bytes(model: Model, fit: Fit | None) -> bytes:
    """Return a model file's content; `fit` is None where somebody else fitted the model."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = FORMAT_VERSION
        file.attrs["created_by"] = f"pairdex {__version__}"
        file.attrs["method"] = model.method
        if fit is not None:
            given = {name: value for name, value in vars(fit).items() if value is not None}
            file.attrs.update({f"fit_{name}": value for name, value in given.items()})
        for name, value in model.arrays().items():
            file[name] = value
    return image.getvalue()


def read_model(path: Path) -> tuple[Model, Fit | None]:
    """Read a model file of ours, or one of the organisers' BinWalk models.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        No such file; it cannot be read or holds arrays that do not fit; it is not a model.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; expected the model of a projection")
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path)
    except PairdexError:
        raise
    except (*READ_ERRORS, KeyError, TypeError) as error:
        raise DamagedFile(
            f"{path} cannot be read as a model: {str(error) or 'it ends early'}; get it again"
        ) from error


def _read(file: h5py.File, path: Path) -> tuple[Model, Fit | None]:
    if file.attrs.get("format") != FORMAT:
        organisers = read_organisers(file)
        if organisers is not None:
            return organisers, None
        raise UnsupportedFormat(
            f"{path} is not the model of a projection: it lacks format {FORMAT}"
        )
    version, method = int(file.attrs["version"]), str(file.attrs["method"])
    if version != FORMAT_VERSION or method not in _READERS:
        raise UnsupportedFormat(
            f"{path} is a model of version {version}, method {method}; this release reads version "
            f"{FORMAT_VERSION}, methods {', '.join(_READERS)}"
        )
    model = _READERS[method]({name: file[name][()] for name in file})
    return model, _fit(file.attrs)


def _fit(attributes: Mapping[str, Any]) -> Fit | None:
    if "fit_rows" not in attributes:
        return None
    seed = attributes.get("fit_seed")
    return Fit(
        rows=int(attributes["fit_rows"]),
        source=str(attributes["fit_source"]),
        seed=None if seed is None else int(seed),
    )


_READERS: dict[str, Callable[[dict[str, Any]], Model]] = {
    model.method: model.from_arrays for model in (Pca, BinWalk, Rotations)
}
