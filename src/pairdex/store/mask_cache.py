"""Cache the masks of recently used filters: the next page of results uses the same filter."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_MASK_BYTES", "MaskCache"]

MAX_MASK_BYTES = 64 << 20  # per collection: 64 filters over a million rows


class MaskCache:
    """A thread-safe LRU cache of masks, shape (rows,), by filter."""

    def __init__(self, max_bytes: int = MAX_MASK_BYTES) -> None:
        self._max_bytes = max_bytes
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()
        self._lock = Lock()

    def get(self, where: str) -> NDArray[np.bool_] | None:
        """Return the cached mask of a filter, or None."""
        with self._lock:
            if where in self._masks:
                self._masks.move_to_end(where)
            return self._masks.get(where)

    def keep(self, where: str, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Make a mask read-only, cache it, evict the least recently used masks, and return it."""
        mask.flags.writeable = False
        with self._lock:
            self._masks[where] = mask
            while sum(kept.nbytes for kept in self._masks.values()) > self._max_bytes:
                self._masks.popitem(last=False)
        return mask
