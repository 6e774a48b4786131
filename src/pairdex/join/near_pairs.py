"""Pairs of rows within a distance of each other: all of them, or the nearest earlier one of each row.

The work is cut into rectangles, ranges of one set of rows by ranges of another, so that memory is
bounded; one with too many pairs is cut again. Nothing of that changes the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pairdex.join.code_map import JoinLimits
from pairdex.join.coded_rows import CodedRows
from pairdex.progress import Meter, StepProgress

__all__ = ["Join", "Pairs", "Rectangle"]

_X_LISTS = 64  # lists of one set that meet the rows of the other at once
_Y_ROWS = 1 << 19  # 8 bytes for each of them and each such list that is not ruled out
_PAIRS_AT_ONCE = 1 << 22

Slots = NDArray[np.uint32]


@dataclass(frozen=True)
class Pairs:
    """Pairs of slots, (n,) each, with the float64 distance that the certified search defines."""

    x: Slots
    y: Slots
    distances: NDArray[np.float64]


@dataclass(frozen=True)
class Rectangle:
    """A range of places in one array of slots by a range of places in another."""

    x: tuple[int, int]
    y: tuple[int, int]

    @property
    def area(self) -> int:
        """The number of pairs in it."""
        return (self.x[1] - self.x[0]) * (self.y[1] - self.y[0])

    def halves(self) -> tuple[Rectangle, Rectangle]:
        """Cut the longer side."""
        (a, b), (c, d) = self.x, self.y
        if b - a >= d - c:
            middle = (a + b) // 2
            return Rectangle((a, middle), self.y), Rectangle((middle, b), self.y)
        middle = (c + d) // 2
        return Rectangle(self.x, (c, middle)), Rectangle(self.x, (middle, d))


class Join:
    """Joins of sets of the coded rows within one distance.

    Sets are ascending slots, uint32.
    """

    def __init__(
        self, rows: CodedRows, within: float, *, threads: int, kernel: str | None = None
    ) -> None:
        self.rows, self._threads, self._kernel = rows, threads, kernel or ""
        self._limits: JoinLimits = rows.map.limits(within, rows.errors)

    def all_slots(self) -> Slots:
        """Return the slots of all rows."""
        return np.arange(len(self.rows), dtype=np.uint32)

    def rectangles(self, x: Slots, y: Slots | None = None) -> list[Rectangle]:
        """Cut the pairs of x and y, or of x with itself, into parts of bounded memory."""
        lists = self.rows.lists[x]
        n_lists = int(lists[-1]) + 1 if len(lists) else 0
        cuts = np.searchsorted(lists, np.arange(0, n_lists + _X_LISTS, _X_LISTS))
        n = len(x) if y is None else len(y)
        return [
            Rectangle((int(a), int(b)), (first, min(first + _Y_ROWS, n)))
            for a, b in pairwise(cuts)
            for first in range(0, n, _Y_ROWS)
            if a < b and (y is not None or first + _Y_ROWS > a)
        ]

    def pairs(
        self, x: Slots, y: Slots | None, part: Rectangle, *, limit: int = _PAIRS_AT_ONCE
    ) -> Iterator[Pairs]:
        """Yield the pairs of a rectangle, up to `limit` at a time, in no certain order.

        If y is None each pair of x is yielded once.
        """
        todo = [part]
        while todo:
            one = todo.pop()
            found = self.try_pairs(x, y, one, limit=limit)
            if found is not None:
                yield found
            else:
                todo += one.halves()

    def try_pairs(self, x: Slots, y: Slots | None, part: Rectangle, *, limit: int) -> Pairs | None:
        """Return the pairs of a rectangle; None if they are more than `limit`."""
        found = self.rows.native.pairs(
            x,
            part.x,
            x if y is None else y,
            part.y,
            is_self=y is None,
            limits=self._limits,
            limit=limit,
            threads=self._threads,
            kernel=self._kernel,
        )
        return None if found is None else Pairs(*found)

    def nearest_earlier(
        self,
        x: Slots,
        y: Slots,
        of: NDArray[np.int64],
        distances: NDArray[np.float64],
        progress: StepProgress | None = None,
    ) -> None:
        """Find the nearest row of y of a smaller rank for each row of x, if it is within the distance.

        Parameters
        ----------
        of, distances
            By id: what is known already, -1 and infinity if nothing is; written where a row is nearer,
            or as near and of a smaller id.
        """
        parts = self.rectangles(x, y)
        meter = Meter(sum(part.area for part in parts), progress)
        for part in parts:
            self.rows.native.nearest_earlier(
                x,
                part.x,
                y,
                part.y,
                limits=self._limits,
                of=of,
                distances=distances,
                threads=self._threads,
                kernel=self._kernel,
            )
            meter.advance(part.area)
