"""Flags of rows in few bytes, to be sent to another process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PackedFlags"]


@dataclass(frozen=True, eq=False)
class PackedFlags:
    """Flags of `rows` rows: the places of the set ones if these take fewer bytes, else eight in a byte."""

    rows: int
    places: NDArray[np.uint32] | None
    bits: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, flags: NDArray[np.bool_]) -> PackedFlags:
        """Pack flags (rows,)."""
        places = np.flatnonzero(flags)
        if 4 * len(places) < len(flags) / 8:
            return cls(len(flags), places.astype(np.uint32))
        return cls(len(flags), None, np.packbits(flags))

    def unpacked(self) -> NDArray[np.bool_]:
        """Return the flags (rows,)."""
        if self.bits is not None:
            return np.unpackbits(self.bits, count=self.rows).view(np.bool_)
        flags = np.zeros(self.rows, np.bool_)
        flags[self.places] = True
        return flags
