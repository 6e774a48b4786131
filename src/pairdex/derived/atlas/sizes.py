"""The default and the limits of an atlas, without imports, so that `--help` is fast."""

from __future__ import annotations

__all__ = ["DEFAULT_SAMPLE", "MAX_SAMPLE", "MAX_SEED"]

DEFAULT_SAMPLE = 20_000  # points: a screen can show this many apart, and their layout takes seconds
MAX_SAMPLE = 100_000  # points: the page loads them all, 2 MB
MAX_SEED = 2**32 - 1  # the limit of NumPy's older generator, which UMAP uses
