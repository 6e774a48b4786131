"""One array-like view of all vectors of a collection, over the memory maps of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument

__all__ = ["VectorsView"]


_FLOAT16 = np.dtype(np.float16)


class VectorsView:
    """Rows by id, shape (n, dim): `view[5]`, `view[a:b]` and `view[[5, 17]]` copy only these rows.

    The dtype is float16, except in projections. Iterating yields one mapped row after another;
    `np.asarray(view)` copies all rows.
    """

    def __init__(
        self, blocks: Sequence[NDArray[Any]], dim: int, dtype: np.dtype[Any] = _FLOAT16
    ) -> None:
        self._blocks = tuple(blocks)
        self._measure([len(block) for block in blocks], dim, dtype)

    def _measure(self, lengths: Sequence[int], dim: int, dtype: np.dtype[Any]) -> None:
        self._starts = np.cumsum([0, *lengths], dtype=np.int64)
        self.shape = (int(self._starts[-1]), dim)
        self.dtype = dtype

    @property
    def blocks(self) -> tuple[NDArray[Any], ...]:
        """All rows, as the memory maps of the parts."""
        return self._blocks

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(
        self, key: int | slice | Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]
    ) -> NDArray[np.float16]:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            return self._rows(np.arange(start, stop, step))
        if isinstance(key, (int, np.integer)):
            return self._rows(np.array([key], np.int64)).reshape(-1)
        return self._rows(self._ids(np.asarray(key)))

    def __iter__(self) -> Iterator[NDArray[np.float16]]:
        for block in self.blocks:
            yield from block

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError(
                "rows of several files cannot become one array without copying; pass copy=None or copy=True"
            )
        return self._range(0, len(self)).astype(dtype or self.dtype, copy=False)

    def _ids(self, key: NDArray[Any]) -> NDArray[np.int64]:
        """Convert a list of ids, or one flag per row, to ids."""
        if key.dtype == np.bool_ and key.shape == (len(self),):
            return np.flatnonzero(key)
        if key.size == 0 and key.ndim == 1:
            return np.empty(0, np.int64)
        if key.ndim != 1 or key.dtype.kind not in "iu":
            raise InvalidArgument(
                f"rows are {key.dtype} of shape {key.shape}, expected integers (n,) or {len(self):,} flags",
                field="id",
            )
        return key.astype(np.int64)

    def _range(self, start: int, stop: int) -> NDArray[np.float16]:
        begins, ends = self._starts[:-1], self._starts[1:]
        pieces = [
            self._piece(index, max(0, start - int(first)), min(stop, int(end)) - int(first))
            for index, (first, end) in enumerate(zip(begins, ends, strict=True))
            if start < end and first < stop
        ]
        return np.concatenate([np.empty((0, self.shape[1]), self.dtype), *pieces])

    def _rows(self, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        out = ids[(ids < -len(self)) | (ids >= len(self))]
        if len(out):
            raise InvalidArgument(
                f"id {out[0]} is out of range, expected {-len(self):,} to {len(self) - 1:,}",
                field="id",
            )
        ids = np.where(ids < 0, ids + len(self), ids)
        rows = np.empty((len(ids), self.shape[1]), self.dtype)
        where = np.searchsorted(self._starts, ids, side="right") - 1
        for index in np.unique(where):
            place = where == index
            rows[place] = self._taken(int(index), ids[place] - self._starts[index])
        return rows

    def _piece(self, index: int, start: int, stop: int) -> NDArray[Any]:
        """Return rows `start` to `stop` of a part."""
        return self._blocks[index][start:stop]

    def _taken(self, index: int, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return some rows of a part."""
        return np.asarray(self._blocks[index][rows])
