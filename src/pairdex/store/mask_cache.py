"""Which rows satisfied the filters that were asked for last: a page of results asks for the same again."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_MASK_BYTES", "MaskCache"]

MAX_MASK_BYTES = 64 << 20  # of one collection: 64 filters of a million rows


class MaskCache:
    """Keeps the masks (rows,) that were used last, by filter; for several threads."""

    def __init__(self, max_bytes: int = MAX_MASK_BYTES) -> None:
        self._max_bytes = max_bytes
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()
        self._lock = Lock()

    def get(self, where: str) -> NDArray[np.bool_] | None:
        """Return the mask of a filter, if it is kept."""
        with self._lock:
            if where in self._masks:
                self._masks.move_to_end(where)
            return self._masks.get(where)

    def keep(self, where: str, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Keep a mask, which becomes read-only, in the place of those that were not used for longest."""
        mask.flags.writeable = False
        with self._lock:
            self._masks[where] = mask
            while sum(kept.nbytes for kept in self._masks.values()) > self._max_bytes:
                self._masks.popitem(last=False)
        return mask
