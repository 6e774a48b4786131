"""Closed sets of values of projections, without imports, so that `--help` is fast."""

from __future__ import annotations

from typing import Literal

__all__ = ["CEILING_KS", "DEFAULT_METHOD", "METHODS", "Method"]

Method = Literal["pca", "rotations", "binwalk", "joint"]
DEFAULT_METHOD: Method = "rotations"  # of sketches
CEILING_KS = (10, 30)  # the k of recall ceilings
METHODS: dict[str, tuple[Method, ...]] = {  # of each kind of projection
    "pca": ("pca", "joint"),
    "hamming": ("rotations", "binwalk", "joint"),
}
