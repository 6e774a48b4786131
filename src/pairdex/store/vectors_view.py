"""All vectors of a collection as one array-like thing over the memory maps of its parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument

__all__ = ["VectorsView"]


class VectorsView:
    """Rows (n, dim) float16 by id; `view[a:b]` and `view[[5, 17]]` copy only the rows asked for."""

    def __init__(self, blocks: Sequence[NDArray[np.float16]], dim: int) -> None:
        self.blocks = tuple(blocks)
        self._starts = np.cumsum([0, *(len(block) for block in blocks)], dtype=np.int64)
        self.shape = (int(self._starts[-1]), dim)
        self.dtype = np.dtype(np.float16)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(
        self, key: int | slice | Sequence[int] | NDArray[np.int64]
    ) -> NDArray[np.float16]:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            return self._rows(np.arange(start, stop, step))
        if isinstance(key, (int, np.integer)):
            return self._rows(np.array([key], np.int64)).reshape(-1)
        return self._rows(np.asarray(key, np.int64))

    def _range(self, start: int, stop: int) -> NDArray[np.float16]:
        pieces = [
            block[max(0, start - first) : max(0, stop - first)]
            for block, first in zip(self.blocks, self._starts, strict=False)
        ]
        return np.concatenate([np.empty((0, self.shape[1]), np.float16), *pieces])

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        ids = np.where(ids < 0, ids + len(self), ids)
        if len(ids) and (ids.min() < 0 or ids.max() >= len(self)):
            raise InvalidArgument(
                f"a row is out of range: there are {len(self):,} rows, 0 to {len(self) - 1:,}",
                field="id",
            )
        rows = np.empty((len(ids), self.shape[1]), np.float16)
        where = np.searchsorted(self._starts, ids, side="right") - 1
        for index in np.unique(where):
            place = where == index
            rows[place] = self.blocks[index][ids[place] - self._starts[index]]
        return rows
