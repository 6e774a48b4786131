"""The interface of projection models, and the HDF5 files that store them.

A model file has one dataset per array. Its attributes record the method and the rows that it was fitted
to. The same model gives the same bytes.
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
from pairdex.derived.projections.joint import JointPca, joint_from_arrays
from pairdex.derived.projections.pca import Pca
from pairdex.derived.projections.rotations import Rotations
from pairdex.errors import MissingFile, UnsupportedFormat
from pairdex.files.hdf5 import open_hdf5, read_whole, text_of
from pairdex.version import __version__

__all__ = ["Fit", "Model", "ProjectionKind", "model_bytes", "read_model"]

ProjectionKind = Literal["pca", "hamming"]

FORMAT = "pairdex-projection-model"
FORMAT_VERSION = 1


class Model(Protocol):
    """Project vectors of `source_dim` dimensions to `width` values of `dtype`.

    `dim` is the number of components or bits that the distance compares.
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
        """Project non-zero rows, shape (n, source_dim), to shape (n, width)."""

    def apply_to_queries(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Project non-zero queries as `apply`; the method `joint` projects texts otherwise."""

    def arrays(self) -> Mapping[str, NDArray[Any] | float]:
        """Return the arrays and numbers to store in a model file, by name."""


@dataclass(frozen=True)
class Fit:
    """The rows that a model was fitted to.

    Attributes
    ----------
    rows
        The number of rows.
    source
        The checksum of the collection's vectors.
    seed
        The random seed of the fit; None if the method is not random.
    """

    rows: int
    source: str
    seed: int | None = None


def model_bytes(model: Model, fit: Fit | None) -> bytes:
    """Return the content of a model file; `fit` is None for a model that was fitted elsewhere."""
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
    """Read a model file of pairdex, or a BinWalk model of the SISAP organisers.

    Raises
    ------
    MissingFile
        The file does not exist.
    DamagedFile
        The file cannot be read, or its arrays are not a valid model.
    UnsupportedFormat
        The file is not a model, or was written by a newer release.
    """
    if not path.is_file():
        raise MissingFile(f"{path} does not exist; name the model file of a projection")
    with open_hdf5(path, advice="get the model again") as file:
        return _read(file, path)


def _read(file: h5py.File, path: Path) -> tuple[Model, Fit | None]:
    if file.attrs.get("format") != FORMAT:
        organisers = read_organisers(file)
        if organisers is not None:
            return organisers, None
        raise UnsupportedFormat(
            f"{path} is not the model of a projection: it has no attribute format = {FORMAT}"
        )
    version, method = int(file.attrs["version"]), text_of(file.attrs["method"])
    if version != FORMAT_VERSION or method not in _READERS:
        raise UnsupportedFormat(
            f"{path} is a model of version {version}, method {method}; this release reads version "
            f"{FORMAT_VERSION}, methods {', '.join(_READERS)}; upgrade pairdex"
        )
    model = _READERS[method]({name: read_whole(file[name]) for name in file})
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
    **{model.method: model.from_arrays for model in (Pca, BinWalk, Rotations)},
    JointPca.method: joint_from_arrays,
}
