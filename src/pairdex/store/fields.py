"""Closed sets of values and defaults of the store, without imports, so that `--help` is fast."""

from __future__ import annotations

from typing import Literal

__all__ = ["DEFAULT_SEED", "VectorField"]

VectorField = Literal["image", "text"]
DEFAULT_SEED = 0  # of the rows that a sample draws
