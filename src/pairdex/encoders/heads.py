"""LAION's heads: small networks that compute a score from a picture's vector.

A head is a `.npz` of its tensors under their names in LAION's PyTorch files, with `.` or `__` between
the words: `norm.mean`, `norm.variance`, `linear_1.weight`, `linear_1.bias`, … for the NSFW heads,
`weight` and `bias` for the linear aesthetic ones. Both expect vectors of unit length.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat
from pairdex.files import checksums
from pairdex.knn.distance import normalise

__all__ = ["COLUMNS", "Head", "HeadKind", "load_head"]

HeadKind = Literal["nsfw", "aesthetic"]

# The columns that the heads fill, by the names they have in LAION's own releases.
COLUMNS: dict[HeadKind, str] = {"nsfw": "punsafe", "aesthetic": "aesthetic"}

# Added to the deviation before dividing by it, as LAION's `Normalization` does (src/models.py).
_EPSILON = 1e-10

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Head:
    """A head: z = (x - mean) / std, then linear layers with ReLU between them.

    The score of an NSFW head is the sigmoid of the last layer, from 0 (safe) to 1; the score of an
    aesthetic head is the last layer itself, from about 1 to 10.

    Attributes
    ----------
    mean, std
        Shape (dim,); zeros and ones for a head without normaliser.
    layers
        Weight (out, in) and bias (out,) of each; the last has one output.
    checksum
        XXH3-128 of the file.
    """

    kind: HeadKind
    dim: int
    checksum: str
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    layers: tuple[Layer, ...]

    @property
    def column(self) -> str:
        """The metadata column that it fills."""
        return COLUMNS[self.kind]

    def scores(self, vectors: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return the score of each vector, computed in float64.

        Parameters
        ----------
        vectors
            Shape (n, dim), finite, no row all zero; of any length.

        Returns
        -------
        NDArray[np.float32]
            Shape (n,).
        """
        values = (normalise(vectors) - self.mean) / self.std
        for i, (weight, bias) in enumerate(self.layers):
            values = (np.maximum(values, 0) if i else values) @ weight.T + bias
        return (_sigmoid(values) if self.kind == "nsfw" else values)[:, 0].astype(np.float32)

    def spread(self, vectors: NDArray[np.float16]) -> float | None:
        """Return how far vectors lie from the head's own: about 1 for those of its model.

        It is the mean square of the normalised values over the rows and dimensions; OpenAI's ViT-B/32
        gives 1.2 for photographs and 1.1 for texts, another CLIP model 3.0. None without normaliser.

        Parameters
        ----------
        vectors
            Shape (n, dim).
        """
        if not self.mean.any():
            return None
        return float(np.square((normalise(vectors) - self.mean) / self.std).mean())


def load_head(path: Path, kind: HeadKind) -> Head:
    """Read a head and check that its tensors fit each other.

    Raises
    ------
    MissingFile, DamagedFile
        The file does not exist or is not an .npz; a tensor is not finite or has another shape.
    UnsupportedFormat
        The head is of another kind than requested.
    """
    tensors = _tensors(path)
    mean, variance, layers = _nsfw(path, tensors) if kind == "nsfw" else _aesthetic(path, tensors)
    _check_chain(path, mean, variance, layers)
    std = np.sqrt(variance) + _EPSILON
    return Head(kind, len(mean), checksums.of_file(path), mean, std, tuple(layers))


def _tensors(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            found = {name.replace("__", "."): np.asarray(file[name], np.float64) for name in file}
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist; expected the .npz of a head") from error
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DamagedFile(
            f"{path} is not the .npz of a head, or is damaged; fetch it again"
        ) from error
    for name, tensor in found.items():
        if not np.isfinite(tensor).all():
            raise DamagedFile(f"{path}: {name} has a value that is not finite; fetch it again")
    return found


def _nsfw(
    path: Path, tensors: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Layer]]:
    count = sum(name.startswith("linear_") and name.endswith(".weight") for name in tensors)
    names = [f"linear_{i}" for i in range(1, count + 1)]
    wanted = [
        "norm.mean",
        "norm.variance",
        *(f"{n}.{w}" for n in names for w in ("weight", "bias")),
    ]
    if not count or set(tensors) != set(wanted):
        raise _foreign(path, "an NSFW head", "norm.mean, norm.variance, linear_1.weight …", tensors)
    layers = [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
    return tensors["norm.mean"], tensors["norm.variance"], layers


def _aesthetic(
    path: Path, tensors: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Layer]]:
    if set(tensors) != {"weight", "bias"} or tensors["weight"].ndim != 2:
        raise _foreign(path, "a linear aesthetic head", "weight, bias", tensors)
    dim = tensors["weight"].shape[1]
    return np.zeros(dim), np.ones(dim), [(tensors["weight"], tensors["bias"])]


def _foreign(
    path: Path, what: str, expected: str, tensors: dict[str, NDArray[np.float64]]
) -> UnsupportedFormat:
    shown = ", ".join(sorted(tensors)[:4]) or "nothing"
    return UnsupportedFormat(f"{path} is not {what}: it holds {shown}, expected {expected}")


def _check_chain(
    path: Path, mean: NDArray[np.float64], variance: NDArray[np.float64], layers: list[Layer]
) -> None:
    """Raise DamagedFile unless consecutive layer shapes match."""
    if mean.ndim != 1 or variance.shape != mean.shape or not (variance > 0).all():
        raise DamagedFile(
            f"{path}: its normaliser is not a mean and a positive variance of the same length"
        )
    width = len(mean)
    for number, (weight, bias) in enumerate(layers, 1):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise DamagedFile(
                f"{path}: layer {number} has a weight of {weight.shape} and a bias of {bias.shape}, "
                f"expected (n, {width}) and (n,)"
            )
        width = len(bias)
    if width != 1:
        raise DamagedFile(f"{path}: its last layer has {width} outputs, expected 1 score")


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-v)), without overflow on either side."""
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1.0, small) / (1 + small))
