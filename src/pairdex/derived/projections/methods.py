"""Closed sets of values of projections, without imports, so that `--help` is fast."""

from __future__ import annotations

from typing import Literal

__all__ = ["CEILING_KS", "DEFAULT_METHOD", "SketchMethod"]

SketchMethod = Literal["rotations", "binwalk"]
DEFAULT_METHOD: SketchMethod = "rotations"
CEILING_KS = (10, 30)  # the k of recall ceilings
