"""Measures what searches cost on this machine, by turns, so that a busy moment spoils no single figure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from pairdex.ivf.costs import (
    COSTED_K,
    BatchCosts,
    Costs,
    ExactCost,
    IndexCost,
    QueryKind,
    this_machine,
)
from pairdex.ivf.efforts import Effort
from pairdex.ivf.search import InvertedIndex, Plan
from pairdex.knn import cosine
from pairdex.knn.codes import Codes

__all__ = ["COSTED_QUERIES", "QUICK", "THOROUGH", "Pace", "measure_costs"]

Blocks = Sequence[NDArray[np.float16]]
Clock = Callable[[], float]

COSTED_QUERIES = 256  # queries to measure with: the largest batch
_BATCHES = (1, 16, COSTED_QUERIES)
_SINGLES = 24  # single queries by the index in a row: each finds other lists in the cache
_EXACT_SINGLES = 3  # the same for exact searches, which read everything each time
_FILTERED = 32  # queries by the index with a filter: a batch shares nothing then
_MANY_NEIGHBOURS = 100
_LESS_ROWS = 4  # an exact search is also timed for one row in this many
_SHARES = (1 / 64, 1 / 1024)  # that filters of exact searches leave
_INDEX_SHARES = (1 / 2, 1 / 8)  # the same for searches by the index
_LEAST_SPAN = 4  # times: how far apart two efforts must lie to show a slope
_SEED = 20260101  # of random filters; any
_GROUP = 32  # rows; codes are cut at multiples of it


@dataclass(frozen=True)
class Pace:
    """How much time a measurement may take.

    Attributes
    ----------
    rounds
        Turns in which everything is timed; the least time counts.
    rows
        The most rows of an exact search; the time for more is extrapolated.
    pairs
        The most pairs of query and row. Both are for codes; of rows as stored, an eighth is compared.
    """

    rounds: int
    rows: int
    pairs: int


THOROUGH = Pace(rounds=3, rows=1 << 18, pairs=1 << 25)  # when an index is built: about a second
QUICK = Pace(rounds=2, rows=1 << 16, pairs=1 << 22)  # on another machine: about a tenth of it
_FLOATS = 8  # times fewer rows without codes


def measure_costs(
    index: InvertedIndex,
    efforts: Mapping[QueryKind, Mapping[int, Sequence[Effort]]],
    queries: Mapping[QueryKind, NDArray[np.float32]],
    blocks: Blocks,
    codes: Codes | None,
    *,
    pace: Pace = THOROUGH,
    clock: Clock = time.perf_counter,
) -> Costs:
    """Measure what searches cost on this machine.

    Parameters
    ----------
    efforts
        The operating points, by kind of query and k.
    queries
        (n, dim) vectors with a direction, up to `COSTED_QUERIES` of each kind.
    blocks
        The rows, of which the first are searched exactly.
    codes
        The codes of all rows or of the first ones; None if searches have none.
    """
    bench = _Bench(index, blocks, codes, pace)
    plans: dict[tuple[QueryKind, int], _BatchTimes] = {}
    for kind, vectors in queries.items():
        points = efforts[kind].get(COSTED_K, ())
        for size in _BATCHES if len(vectors) else ():
            plans[kind, size] = _BatchTimes(bench, _repeated(vectors, size), size, points)
    for _ in range(pace.rounds):
        for times in plans.values():
            times.take_turn(clock)
    for size in _BATCHES:
        _share_rows([times for (_, each), times in plans.items() if each == size])
    by_kind: dict[QueryKind, list[BatchCosts]] = {"own": [], "other": []}
    for (kind, _), times in plans.items():
        by_kind[kind].append(times.costs())
    return Costs(this_machine(), tuple(by_kind["own"]), tuple(by_kind["other"]))


def _share_rows(kinds: Sequence[_BatchTimes]) -> None:
    """Let all kinds of queries have the least time of comparing rows, which does not depend on them."""
    for times, others in permutations(kinds, 2):
        for key, spent in others.rows_alone().items():
            times.lower(key, spent)


class _Bench:
    """What all timed searches share: rows, codes and filters."""

    def __init__(
        self, index: InvertedIndex, blocks: Blocks, codes: Codes | None, pace: Pace
    ) -> None:
        self.index = index
        self.codes = codes
        self._blocks = blocks
        self._pace = pace
        self._chances = np.random.default_rng(_SEED).random(index.rows)

    def rows_for(self, queries: int, *, by_codes: bool) -> int:
        """Return how many rows to search exactly."""
        less = 1 if by_codes else _FLOATS
        least = _LESS_ROWS * _GROUP
        rows = min(self._pace.rows // less, max(self._pace.pairs // less // queries, least))
        most = self.codes.rows if by_codes and self.codes is not None else self.index.rows
        return min(rows // least * least, most)

    def allowed(self, share: float, rows: int) -> NDArray[np.bool_]:
        """Return the flags of a random share of the first rows."""
        flags: NDArray[np.bool_] = self._chances[:rows] < share
        return flags

    def exactly(
        self, by_codes: bool, rows: int, k: int, share: float, queries: NDArray[np.float32]
    ) -> None:
        """Search the first rows exactly for k neighbours among a share of them."""
        codes = self.codes.first(rows) if by_codes and self.codes is not None else None
        cosine.nearest(
            _first(self._blocks, rows),
            queries,
            k,
            allowed=None if share == 1 else self.allowed(share, rows),
            codes=codes,
            gather=not by_codes,
        )


class _BatchTimes:
    """The least times of searches for batches of one size and kind, in ns for each query."""

    def __init__(
        self, bench: _Bench, queries: NDArray[np.float32], size: int, points: Sequence[Effort]
    ) -> None:
        self._bench = bench
        self._queries = queries
        self._size = size
        self._list_rows = bench.index.rows / bench.index.file.header.nlist
        self._efforts = _spread(points, bench.index.file.header.nlist)
        self._least: dict[tuple[object, ...], float] = {}
        self._work: dict[tuple[object, ...], Callable[[NDArray[np.float32]], None]] = {}
        if self._efforts:
            self._plan_index(*self._efforts)
        for by_codes in (False, True) if bench.codes is not None else (False,):
            self._plan_exact(by_codes)

    def _plan_index(self, low: Effort, high: Effort) -> None:
        compared = replace(low, rerank=low.rerank + _MANY_NEIGHBOURS)
        for name, effort in (("low", low), ("high", high), ("compared", compared)):
            self._work["index", name] = partial(self._by_index, effort)
        for share in _INDEX_SHARES:
            self._work["index", share] = partial(self._by_index, low, share=share)

    def _by_index(
        self, effort: Effort, queries: NDArray[np.float32], *, share: float | None = None
    ) -> None:
        allowed = None if share is None else self._bench.allowed(share, self._bench.index.rows)
        self._bench.index.search(queries, COSTED_K, Plan(effort, effort), allowed=allowed)

    def _plan_exact(self, by_codes: bool) -> None:
        rows = self._bench.rows_for(self._size, by_codes=by_codes)
        cases = [(rows, COSTED_K, share) for share in (1.0, *_SHARES)]
        cases += [(_fewer(rows), COSTED_K, 1.0), (rows, _MANY_NEIGHBOURS, 1.0)]
        for case in cases:
            self._work[(by_codes, *case)] = partial(self._bench.exactly, by_codes, *case)

    def take_turn(self, clock: Clock) -> None:
        """Time every search once."""
        for key, work in self._work.items():
            some = self._queries[: self._count(key)]
            started = clock()
            for first in range(0, len(some), self._size):
                work(some[first : first + self._size])
            spent = (clock() - started) * 1e9 / len(some)
            self._least[key] = min(spent, self._least.get(key, spent))

    def _count(self, key: tuple[object, ...]) -> int:
        """Return the number of queries to time a search with."""
        by_index = key[0] == "index"
        if self._size == 1:
            return _SINGLES if by_index else _EXACT_SINGLES
        return min(self._size, _FILTERED) if by_index and key[1] in _INDEX_SHARES else self._size

    def rows_alone(self) -> dict[tuple[object, ...], float]:
        """Return the times of exact searches without codes."""
        return {key: time for key, time in self._least.items() if key[0] is False}

    def lower(self, key: tuple[object, ...], spent: float) -> None:
        """Take the time for a search if it is less."""
        self._least[key] = min(self._least[key], spent)

    def costs(self) -> BatchCosts:
        """Fit the model to the times."""
        index, filtered = self._index_costs(*self._efforts) if self._efforts else (None, None)
        codes = self._exact_cost(by_codes=True) if self._bench.codes is not None else None
        return BatchCosts(self._size, index, filtered, codes, self._exact_cost(by_codes=False))

    def _index_costs(self, low: Effort, high: Effort) -> tuple[IndexCost, IndexCost]:
        times = {key[1]: time for key, time in self._least.items() if key[0] == "index"}
        compared = max(times["compared"] - times["low"], 0.0) / _MANY_NEIGHBOURS
        seen = low.nprobe * self._list_rows
        more = (high.nprobe - low.nprobe) * self._list_rows
        rest = times["high"] - times["low"] - compared * (high.rerank - low.rerank)
        plain = _through(times["low"] - compared * low.rerank, rest, seen, more)
        half, eighth = (seen / share for share in _INDEX_SHARES)
        least, most = (times[share] for share in _INDEX_SHARES)
        filtered = _through(least - compared * low.rerank, most - least, half, eighth - half)
        return IndexCost(*plain, compared), IndexCost(*filtered, compared)

    def _exact_cost(self, *, by_codes: bool) -> ExactCost:
        rows = self._bench.rows_for(self._size, by_codes=by_codes)
        fewer = _fewer(rows)
        whole = self._least[by_codes, rows, COSTED_K, 1.0]
        part = self._least[by_codes, fewer, COSTED_K, 1.0]
        fixed, row = _through(whole, whole - part, rows, rows - fewer)
        some, few = (self._least[by_codes, rows, COSTED_K, share] for share in _SHARES)
        counts = [int(np.count_nonzero(self._bench.allowed(share, rows))) for share in _SHARES]
        base, gathered = _through(few, some - few, counts[1], max(counts[0] - counts[1], 1))
        more = self._least[by_codes, rows, _MANY_NEIGHBOURS, 1.0]
        neighbour = max(more - whole, 0.0) / (_MANY_NEIGHBOURS - COSTED_K)
        return ExactCost(fixed, row, base / max(rows, 1), gathered, neighbour)


def _through(time: float, more_time: float, amount: float, more: float) -> tuple[float, float]:
    """Return the line (at 0, slope), neither negative, that takes `time` for an amount."""
    slope = min(max(more_time, 0.0) / more, time / amount) if amount and more else 0.0
    slope = max(slope, 0.0)
    return max(time - slope * amount, 0.0), slope


def _spread(points: Sequence[Effort], nlist: int) -> tuple[Effort, Effort] | tuple[()]:
    """Return the least and the most effort that is known, or scans some times as many lists."""
    if not points:
        return ()
    low, high = points[0], points[-1]
    enough = min(max(high.nprobe, _LEAST_SPAN * low.nprobe), nlist)
    low = replace(low, nprobe=min(low.nprobe, max(enough // _LEAST_SPAN, 1)))
    return low, replace(high, nprobe=max(enough, low.nprobe + 1))


def _fewer(rows: int) -> int:
    return max(rows // _LESS_ROWS // _GROUP * _GROUP, min(_GROUP, rows))


def _repeated(queries: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return queries for batches of a size, repeated if there are too few."""
    needed = max(size, _SINGLES)
    return np.ascontiguousarray(np.resize(queries, (needed, queries.shape[1])))


def _first(blocks: Blocks, rows: int) -> list[NDArray[np.float16]]:
    """Return the first rows, in blocks."""
    kept = []
    for block in blocks:
        kept.append(block[:rows])
        rows -= len(kept[-1])
    return [block for block in kept if len(block)]
