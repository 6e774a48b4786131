"""The bit layout of SISAP sketches: 16 words of 64 bits, the least significant bit first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "WORDS", "packed"]

BITS = 1_024
WORDS = BITS // 64


def packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack flags, shape (n, 1024), into words, shape (n, 16): flag i is bit i % 64 of word i // 64."""
    return np.packbits(bits, axis=1, bitorder="little").view("<u8")
