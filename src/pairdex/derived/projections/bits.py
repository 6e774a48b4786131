"""Bits as SISAP's sketches hold them: 16 words of 64, the least significant bit first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "WORDS", "packed"]

BITS = 1_024
WORDS = BITS // 64


def packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack (n, 1024) flags into (n, 16) words: flag i is 1 << i % 64 in word i // 64."""
    return np.packbits(bits, axis=1, bitorder="little").view("<u8")
