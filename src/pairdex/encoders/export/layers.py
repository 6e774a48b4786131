"""Takes tensors from a file by name, checks their shapes, and detects unused ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.encoders.export.towers import Affine
from pairdex.encoders.export.weights import Weights
from pairdex.errors import DamagedFile, UnsupportedFormat

__all__ = ["Tensors", "count_layers"]


class Tensors:
    """The tensors of one file, with a record of which were used."""

    def __init__(self, path: Path, weights: Weights) -> None:
        self.path = path
        self._weights = weights
        self._used: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._weights

    def names(self) -> list[str]:
        """Return the names of all tensors."""
        return list(self._weights)

    def take(self, name: str, rank: int, *shape: int | None) -> NDArray[np.float32]:
        """Return a tensor of `rank` dimensions and of `shape`, if given (None: any length).

        Raises
        ------
        DamagedFile
            It is missing or of another shape.
        """
        if name not in self._weights:
            raise DamagedFile(
                f"{self.path} lacks the tensor {name}: it is incomplete or belongs to another model"
            )
        found = self._weights[name]
        self._used.add(name)
        wanted = shape or (None,) * rank
        if found.ndim != len(wanted) or any(
            w not in (None, f) for w, f in zip(wanted, found.shape, strict=True)
        ):
            shown = ", ".join("any" if one is None else str(one) for one in wanted)
            raise DamagedFile(f"{self.path}: {name} has shape {found.shape}, expected ({shown})")
        return found

    def affine(self, name: str, width: int | None) -> Affine:
        """Return a linear layer of PyTorch: weight (out, in), bias (out,) or none."""
        weight = self.take(f"{name}.weight", 2, None, width)
        bias = f"{name}.bias"
        return Affine(
            weight.T,  # a view: the file is mapped, and each layer is copied when it is written
            self.take(bias, 1, len(weight)) if bias in self._weights else None,
        )

    def norm(self, name: str, width: int) -> Affine:
        """Return a layer normalisation."""
        return Affine(self.take(f"{name}.weight", 1, width), self.take(f"{name}.bias", 1, width))

    def check_all_used(self, ignored: tuple[str, ...]) -> None:
        """Refuse a file with unused tensors: they would change the vectors.

        Raises
        ------
        UnsupportedFormat
            A tensor was not used.
        """
        left = sorted(set(self._weights) - self._used - set(ignored))
        if left:
            raise UnsupportedFormat(
                f"{self.path} has unsupported parts ({left[0]} and {len(left) - 1} more): "
                "the model is of another architecture"
            )


def count_layers(tensors: Tensors, prefix: str) -> int:
    """Return the number of numbered layers with this prefix."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    numbers = {int(found[1]) for name in tensors.names() if (found := pattern.match(name))}
    return max(numbers, default=-1) + 1
