"""Deciding of every row, in a given order, whether a row that was kept before it is near.

A block of rows is searched among the rows kept before it, and among itself, by the certified search
within the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pairdex.curate.copies import Order, find_copies, hash_rows
from pairdex.curate.decisions import COPY, KEPT, NEAR, NOT_YET, Decisions
from pairdex.knn import cosine
from pairdex.knn.codes import Codes
from pairdex.progress import Progress, at_step
from pairdex.store.vectors_view import VectorsView

__all__ = ["decide"]

_BLOCK_ROWS = 2_048  # the search among themselves costs little beside the scan of the kept rows
_NEAR_IN_BLOCK = 32  # rows near one that are found at once; few have more
_BLOCKS_BETWEEN_SAVES = 16


def decide(
    vectors: VectorsView,
    order: Order,
    decisions: Decisions,
    *,
    threshold: float,
    codes: Codes | None,
    progress: Progress,
) -> None:
    """Decide about the rows of `order` that are not decided yet, saving now and then.

    Parameters
    ----------
    threshold
        A row is NEAR if a row that is kept and comes earlier in `order` is at most so far. `of` is
        the nearest of them; of equally near ones, that of the smallest id.
    """
    position = decisions.position
    if position is None:
        _find_copies(vectors, order, decisions, progress)
        position = 0
    _forget(order, decisions, position)
    search = _Search(vectors, threshold, decisions.state[: len(vectors)] == KEPT, codes)
    for number, first in enumerate(range(position, len(order), _BLOCK_ROWS), start=1):
        end = min(first + _BLOCK_ROWS, len(order))
        ids = np.asarray(order[first:end], np.int64)
        ids = ids[decisions.state[ids] != COPY]
        of, distances = search.visit(ids)
        near = of >= 0
        decisions.of[ids[near]], decisions.distance[ids[near]] = of[near], distances[near]
        decisions.state[ids] = np.where(near, NEAR, KEPT)
        if number % _BLOCKS_BETWEEN_SAVES == 0 or end == len(order):
            decisions.save(end)
        progress("comparing", end, len(order))


def _find_copies(
    vectors: VectorsView, order: Order, decisions: Decisions, progress: Progress
) -> None:
    hashes = decisions.array("hashes", len(order), np.uint64)
    hash_rows(vectors, order, hashes, at_step(progress, "reading"))
    for copies, firsts in find_copies(vectors, order, hashes):
        decisions.state[copies], decisions.of[copies] = COPY, firsts
    decisions.save(0)


def _forget(order: Order, decisions: Decisions, position: int) -> None:
    """Take back what a killed run has decided after it last saved."""
    unsaved = order[position : position + _BLOCKS_BETWEEN_SAVES * _BLOCK_ROWS]
    ids = np.asarray(unsaved, np.int64)
    decisions.state[ids[decisions.state[ids] != COPY]] = NOT_YET


class _Search:
    """The rows kept so far, and the search among them."""

    def __init__(
        self,
        vectors: VectorsView,
        threshold: float,
        kept: NDArray[np.bool_],
        codes: Codes | None,
    ) -> None:
        self._vectors, self._threshold, self._codes = vectors, threshold, codes
        self._kept = kept

    def visit(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Decide about a block of rows and keep those that no kept one is near.

        Returns
        -------
        of : NDArray[np.int64]
            The nearest row that was kept earlier; -1 for a row that is kept.
        distances : NDArray[np.float64]
            To it; infinity for a row that is kept.
        """
        block = _Block(self._vectors[ids], ids, self._threshold)
        found = cosine.nearest(
            self._vectors.blocks,
            block.queries,
            1,
            allowed=self._kept,
            within=self._threshold,
            codes=self._codes,
        )
        of, distances = found.ids[:, 0].copy(), found.distances[:, 0].copy()
        for i in block.have_earlier:
            place, distance = block.nearest_earlier(i, of < 0)
            if place >= 0 and (distance, ids[place]) < (distances[i], of[i]):
                of[i], distances[i] = ids[place], distance
        self._kept[ids[of < 0]] = True
        return of, distances


class _Block:
    """Rows that are visited one after the other, and what each has near it among them.

    Attributes
    ----------
    queries
        The rows, (n, dim) float32.
    have_earlier
        The places of rows that may have an earlier one near them.
    """

    def __init__(self, rows: NDArray[np.float16], ids: NDArray[np.int64], threshold: float) -> None:
        self.queries = rows.astype(np.float32)
        self._rows, self._threshold = rows, threshold
        self._by_id = np.argsort(ids)  # of equally near rows the smaller id comes first
        found = cosine.nearest([rows[self._by_id]], self.queries, _NEAR_IN_BLOCK, within=threshold)
        self._near = np.where(found.ids >= 0, self._by_id[found.ids], len(ids))  # places
        self._distances = found.distances
        self._is_earlier = self._near < np.arange(len(ids))[:, None]
        self._has_more = found.ids[:, -1] >= 0
        self.have_earlier = np.flatnonzero(self._is_earlier.any(axis=1) | self._has_more)

    def nearest_earlier(self, i: np.intp, kept: NDArray[np.bool_]) -> tuple[int, float]:
        """Return the place of the nearest earlier row that is kept, and the distance; -1: none."""
        earlier = np.flatnonzero(self._is_earlier[i])
        earlier = earlier[kept[self._near[i, earlier]]]
        if len(earlier):
            return int(self._near[i, earlier[0]]), float(self._distances[i, earlier[0]])
        places = self._by_id[(self._by_id < i) & kept[self._by_id]]
        if not self._has_more[i] or not len(places):
            return -1, np.inf
        found = cosine.nearest(
            [self._rows[places]], self.queries[i : i + 1], 1, within=self._threshold, threads=1
        )
        nearest = int(found.ids[0, 0])
        return (int(places[nearest]) if nearest >= 0 else -1), float(found.distances[0, 0])
