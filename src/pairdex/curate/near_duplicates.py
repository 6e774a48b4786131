"""Deciding of every row, in a given order, whether a row that was kept before it is near.

Rows are decided in blocks of that order. A block meets the rows kept before it; those that none is
near meet each other; then those that were near one meet the rows kept in this block too, since one of
these may be nearer. A block with too many pairs is halved: its later half then meets what is kept of
the earlier one first, so a group of rows that are all near each other costs no more than others.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.curate.copies import Order, find_copies, hash_rows
from pairdex.curate.decisions import COPY, KEPT, NEAR, NOT_YET, Decisions
from pairdex.join.coded_rows import CodedRows, open_or_code_rows
from pairdex.join.near_pairs import Join, Slots
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.vectors_view import VectorsView
from pairdex.work.processors import usable_processors

__all__ = ["DEFAULT_THRESHOLD", "decide"]

DEFAULT_THRESHOLD = 0.06  # cosine distance

_MOST_BLOCK_ROWS = 1 << 22  # decided between two saves at most
_MOST_PAIRS = 1 << 24  # of a block, held at once: 16 bytes each, three times that while sorting
_PAIRS_A_ROW = 16  # of a block: if there are more, halving it is cheaper than finding them
_FEW_PAIRS = 1 << 18
_SAMPLE = 1_024  # rows whose neighbours are counted
_SAMPLE_OTHERS = 1 << 16  # among as many others
_FEW_NEIGHBOURS = 2.0  # a row: with fewer most rows are kept, and blocks only cost
_ROWS_AT_ONCE = 1 << 20


def decide(
    vectors: VectorsView,
    order: Order,
    decisions: Decisions,
    *,
    threshold: float,
    progress: Progress,
    threads: int | None = None,
) -> None:
    """Decide about the rows of `order` that are not decided yet, saving now and then.

    Parameters
    ----------
    threshold
        A row is NEAR if a row that is kept and comes earlier in `order` is at most so far. `of` is
        the nearest of them; of equally near ones, that of the smallest id.
    threads
        None: one for each usable processor.
    """
    threads = threads or usable_processors()
    if decisions.position is None:
        _find_copies(vectors, order, decisions, progress)
    position = decisions.position
    assert position is not None
    if position == len(order):
        return
    _forget(order, decisions, position)
    rows = _code(vectors, order, decisions, threads, at_step(progress, "coding"))
    work = _Work(Join(rows, threshold, threads=threads), decisions)
    for first, end in _blocks(work.join, position, len(order)):
        work.decide(first, end, _within(progress, first, end, len(order)))
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
    for first in range(position, len(order), _ROWS_AT_ONCE):
        ids = np.asarray(order[first : first + _ROWS_AT_ONCE], np.int64)
        ids = ids[decisions.state[ids] != COPY]
        decisions.state[ids] = NOT_YET
        decisions.of[ids], decisions.distance[ids] = -1, np.inf


def _code(
    vectors: VectorsView,
    order: Order,
    decisions: Decisions,
    threads: int,
    progress: StepProgress | None,
) -> CodedRows:
    """Code the rows that are no copies; what is there already is opened."""
    ids = np.asarray(order, np.int64)
    places = np.flatnonzero(decisions.state[ids] != COPY)
    ids = ids[places]
    if not isinstance(order, range):
        by_id = np.argsort(ids)
        ids, places = ids[by_id], places[by_id]
    return open_or_code_rows(
        list(vectors.blocks),
        ids,
        places,
        decisions.folder,
        plan=decisions.plan,
        threads=threads,
        progress=progress,
    )


def _blocks(join: Join, position: int, rows: int) -> list[tuple[int, int]]:
    """Cut the ranks from `position` on: the more near-duplicates, the more blocks are worth it."""
    count = 1
    if _neighbours(join) >= _FEW_NEIGHBOURS:
        count = max(
            1, round(2 * math.log2(max(rows, 1) / 62_500))
        )  # 4 for 250,000, 8 for 1,000,000
    size = min(max(1, -(-rows // count)), _MOST_BLOCK_ROWS)
    return [(first, min(first + size, rows)) for first in range(position, rows, size)]


def _neighbours(join: Join) -> float:
    """Estimate how many rows a row has within the distance."""
    slots = join.all_slots()
    some = slots[:: max(1, len(slots) // _SAMPLE)]
    others = slots[:: max(1, len(slots) // _SAMPLE_OTHERS)]
    itself = len(np.intersect1d(some, others))
    pairs = sum(
        len(found.x)
        for part in join.rectangles(some, others)
        for found in join.pairs(some, others, part)
    )
    return (pairs - itself) / max(1, len(some)) * len(slots) / max(1, len(others))


def _within(progress: Progress, first: int, end: int, total: int) -> StepProgress:
    """Report the share of a block that is done as rows."""

    def show(done: int, of: int) -> None:
        progress("comparing", first + (end - first) * done // max(1, of), total)

    return show


class _Work:
    """The rows decided so far, and the joins that decide the next ones."""

    def __init__(self, join: Join, decisions: Decisions) -> None:
        self.join, self._decisions = join, decisions
        self._ids, self._ranks = join.rows.ids, join.rows.ranks

    def decide(self, first: int, end: int, progress: StepProgress | None = None) -> None:
        """Decide about the rows of these ranks."""
        is_kept = self._decisions.state[self._ids] == KEPT
        block = _slots((self._ranks >= first) & (self._ranks < end))
        self._nearest(block, _slots(is_kept & (self._ranks < first)), progress)
        self._among_themselves(block)

    def _among_themselves(self, block: Slots) -> None:
        """Decide about rows that have met all kept rows before them."""
        ids = self._ids[block]
        is_hit = self._decisions.of[ids] >= 0
        open_rows = block[~is_hit]
        pairs = self._pairs(open_rows)
        if pairs is None:
            earlier, later = self._halves(block)
            self._among_themselves(earlier)
            kept = earlier[self._decisions.state[self._ids[earlier]] == KEPT]
            self._nearest(later, kept)
            self._among_themselves(later)
            return
        self._keep_first(open_rows, *pairs)
        hit = block[is_hit]
        self._decisions.state[self._ids[hit]] = NEAR
        kept = open_rows[self._decisions.state[self._ids[open_rows]] == KEPT]
        self._nearest(hit, kept)

    def _nearest(self, x: Slots, kept: Slots, progress: StepProgress | None = None) -> None:
        if len(x) and len(kept):
            self.join.nearest_earlier(
                x, kept, self._decisions.of, self._decisions.distance, progress
            )

    def _pairs(self, slots: Slots) -> tuple[NDArray[Any], ...] | None:
        """Return all pairs of these rows as slots, slots and distances; None if they are too many."""
        found = []
        room = min(_MOST_PAIRS, max(_FEW_PAIRS, _PAIRS_A_ROW * len(slots)))
        for part in self.join.rectangles(slots):
            pairs = self.join.try_pairs(slots, None, part, limit=room)
            if pairs is None:
                return None
            room -= len(pairs.x)
            found.append(pairs)
        empty = np.empty(0, np.uint32)
        return (
            np.concatenate([empty, *(pairs.x for pairs in found)]),
            np.concatenate([empty, *(pairs.y for pairs in found)]),
            np.concatenate([np.empty(0), *(pairs.distances for pairs in found)]),
        )

    def _halves(self, block: Slots) -> tuple[Slots, Slots]:
        """Divide rows in the middle of their visit."""
        ranks = self._ranks[block]
        middle = np.partition(ranks, len(ranks) // 2)[len(ranks) // 2]
        return block[ranks < middle], block[ranks >= middle]

    def _keep_first(self, slots: Slots, x: Slots, y: Slots, distances: NDArray[np.float64]) -> None:
        """Keep those of some rows that no kept row of them comes before."""
        slots = slots[np.argsort(self._ranks[slots])]
        ids = self._ids[slots]
        number_of = np.zeros(len(self.join.rows), np.uint32)
        number_of[slots] = np.arange(len(slots))
        one, other = number_of[x], number_of[y]
        earlier, later = np.minimum(one, other), np.maximum(one, other)
        by_later = np.argsort(later, kind="stable")
        of, nearest = _native.join_keep_first(
            later[by_later], earlier[by_later], distances[by_later], ids
        )
        near = of >= 0
        self._decisions.of[ids[near]] = ids[of[near]]
        self._decisions.distance[ids] = nearest
        self._decisions.state[ids] = np.where(near, NEAR, KEPT)


def _slots(flags: NDArray[np.bool_]) -> Slots:
    return np.flatnonzero(flags).astype(np.uint32)
