"""Fold near-duplicate results into the first of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.knn.distance import normalise
from pairdex.store.vectors_view import VectorsView

__all__ = ["MAX_FOLD", "MAX_LOOKED_AT", "Folded", "check_fold", "fold"]

MAX_FOLD = 0.5  # cosine distance; rows farther apart are unrelated
MAX_LOOKED_AT = 100_000  # limit on results examined to find k different ones
_BLOCK_ROWS = 1_000  # results compared in one batch
_GROWTH = 4  # growth factor of each fetch; a larger k costs little more
_ROUNDING = 1e-12  # rounding of cosines, so that a row is at distance 0 from itself


@dataclass(frozen=True)
class Folded:
    """Positions in the ranking of results that are pairwise farther apart than the threshold.

    `inside` holds the ids folded into each result, in ranking order.
    """

    places: NDArray[np.int64]
    inside: list[list[int]]


def check_fold(threshold: float) -> None:
    """Raise InvalidArgument unless the distance is between 0 and MAX_FOLD."""
    if not 0 <= threshold <= MAX_FOLD:  # also refuses NaN
        raise InvalidArgument(
            f"fold is {threshold:g}, expected a cosine distance from 0 to {MAX_FOLD:g}",
            field="fold",
        )


def fold(
    ranked: Callable[[int], NDArray[np.int64]], view: VectorsView, count: int, threshold: float
) -> Folded:
    """Scan a ranking until it yields `count` different results, or ends.

    Each row is folded into the first result within `threshold` of it, by cosine distance between
    stored vectors. The scan stops after max(MAX_LOOKED_AT, count) rows.

    Parameters
    ----------
    ranked
        Returns the first n ids of the ranking, or all if it has fewer. Every call must return the
        same order.
    """
    bound = max(MAX_LOOKED_AT, count)
    results = _Results(view, threshold)
    wanted = min(_GROWTH * count, bound)
    while True:
        ids = ranked(wanted)
        for first in range(results.looked_at, len(ids), _BLOCK_ROWS):
            results.add(ids[first : min(first + _BLOCK_ROWS, len(ids))])
        if len(results.places) >= count or len(ids) < wanted or wanted == bound:
            return Folded(np.array(results.places[:count], np.int64), results.inside[:count])
        wanted = min(_GROWTH * wanted, bound)


class _Results:
    """The different results so far."""

    def __init__(self, view: VectorsView, threshold: float) -> None:
        self._view = view
        self._least = 1.0 - threshold - _ROUNDING  # cosine
        self._kept = np.empty((0, view.shape[1]))
        self.looked_at = 0
        self.places: list[int] = []
        self.inside: list[list[int]] = []

    def add(self, ids: NDArray[np.int64]) -> None:
        """Add the next ids of the ranking."""
        rows = normalise(self._view[ids])
        known = rows @ self._kept.T >= self._least
        among = rows @ rows.T >= self._least
        n_known = known.shape[1]
        new: list[int] = []
        for place, row_id in enumerate(ids.tolist()):
            into = _first(known[place], among[place][new], n_known)
            if into is None:
                new.append(place)
                self.places.append(self.looked_at + place)
                self.inside.append([])
            else:
                self.inside[into].append(row_id)
        self._kept = np.concatenate([self._kept, rows[new]])
        self.looked_at += len(ids)


def _first(known: NDArray[np.bool_], new: NDArray[np.bool_], n_known: int) -> int | None:
    """Return the position of the first result that is near the row."""
    if known.any():
        return int(known.argmax())
    return n_known + int(new.argmax()) if new.any() else None
