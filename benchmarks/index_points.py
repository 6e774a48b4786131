"""Operating points of an approximate search: recall, queries a second and latency at each effort.

Needs NumPy only, so that every library is measured by the same lines in whatever environment it has.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("image", "text")
LEVELS = (0.90, 0.95, 0.97, 0.99)
REPEATS, REPEAT_SECONDS = (
    3,
    0.3,
)  # each figure is the best of REPEATS runs of at least REPEAT_SECONDS
LONGEST_BATCH_SECONDS = 2.0  # efforts beyond are not swept
SINGLES = 300  # queries asked one at a time
TIMED_FROM, ENOUGH = 0.75, 0.994  # recalls outside are of no level
STANDSTILL = 0.0005  # less gained by the next effort ends a climb
TIE = 1e-6  # rows that float32 cannot distinguish from the k-th are right too

Effort = int | tuple[int, int]
Search = Callable[[NDArray[np.float32], Effort, int], NDArray[Any]]  # queries, effort, threads: ids


@dataclass(frozen=True)
class Point:
    """One effort, measured with queries of one kind.

    Attributes
    ----------
    recall
        Recall@k; rows as near as the k-th nearest count as found.
    qps_batch
        All queries at once with all threads.
    p50_ms, p99_ms
        One query at a time, one thread.
    """

    effort: Effort
    kind: str
    recall: float
    qps_batch: float
    p50_ms: float
    p99_ms: float


class Truth:
    """The held-out queries of a set, and which rows are right for them."""

    def __init__(self, folder: Path, k: int) -> None:
        self.k = k
        self.rows = np.load(folder / "parts/img_emb/img_emb_0.npy", mmap_mode="r")
        gold = np.load(folder / "gold.npz")
        queries = np.load(folder / "queries.npz")
        self.stored = {kind: queries[kind] for kind in KINDS}
        self.queries = {kind: unit(queries[kind].astype(np.float32)) for kind in KINDS}
        self.worst = {kind: gold[f"{kind}_distances"][:, k - 1 : k] for kind in KINDS}

    def recall(self, kind: str, ids: NDArray[Any]) -> float:
        """Share of the k places that hold a row at most as far as the true k-th, each row once."""
        found = np.sort(np.asarray(ids).astype(np.int64)[:, : self.k], axis=1)
        if found.shape != (len(self.worst[kind]), self.k):
            raise ValueError(f"ids have shape {found.shape}, expected one row of {self.k} a query")
        is_row = (found >= 0) & (found < len(self.rows))
        is_row[:, 1:] &= found[:, 1:] != found[:, :-1]
        distances = self._distances(kind, np.where(is_row, found, 0))
        return float(np.mean(is_row & (distances <= self.worst[kind] + TIE)))

    def _distances(self, kind: str, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        wanted, place = np.unique(ids, return_inverse=True)
        rows = unit(np.asarray(self.rows[wanted]).astype(np.float64))[place.reshape(ids.shape)]
        asked = unit(self.stored[kind].astype(np.float64))
        return 1 - np.einsum("nkd,nd->nk", rows, asked)


def sweep(
    search: Search, efforts: Sequence[Iterable[Effort]], truth: Truth, threads: int
) -> list[dict[str, Any]]:
    """Measure runs of rising efforts, each until its recall suffices, stands still or costs too much."""
    climber = _Climber(search, truth, threads)
    climbs = (climber.points(kind, rising) for kind in KINDS for rising in efforts)
    return [asdict(point) for points in climbs for point in points]


@dataclass(frozen=True)
class _Climber:
    search: Search
    truth: Truth
    threads: int

    def points(self, kind: str, rising: Iterable[Effort]) -> Iterator[Point]:
        queries, before = self.truth.queries[kind], -1.0
        for effort in rising:
            self.search(queries[:50], effort, self.threads)
            started = time.perf_counter()
            ids = self.search(queries, effort, self.threads)
            taken = time.perf_counter() - started
            recall = self.truth.recall(kind, ids)
            if recall >= TIMED_FROM:
                yield self.timed(kind, effort, recall)
            stands_still = recall > TIMED_FROM and recall - before < STANDSTILL
            if recall >= ENOUGH or stands_still or taken > LONGEST_BATCH_SECONDS:
                return
            before = recall

    def timed(self, kind: str, effort: Effort, recall: float) -> Point:
        queries = self.truth.queries[kind]
        batch = max(self.batch_qps(queries, effort) for _ in range(REPEATS))
        rounds = [self.single_seconds(queries[:SINGLES], effort) for _ in range(REPEATS)]
        p50, p99 = (min(np.percentile(taken, at) for taken in rounds) for at in (50, 99))
        of_single = (round(float(seconds) * 1e3, 4) for seconds in (p50, p99))
        return Point(effort, kind, round(recall, 4), round(batch, 1), *of_single)

    def batch_qps(self, queries: NDArray[np.float32], effort: Effort) -> float:
        asked, started, taken = 0, time.perf_counter(), 0.0
        while taken < REPEAT_SECONDS:
            self.search(queries, effort, self.threads)
            asked, taken = asked + len(queries), time.perf_counter() - started
        return asked / taken

    def single_seconds(self, queries: NDArray[np.float32], effort: Effort) -> list[float]:
        """Ask all queries one by one, again until the time is up."""
        seconds: list[float] = []
        self.search(queries[:1], effort, 1)
        while sum(seconds) < REPEAT_SECONDS:
            for row in range(len(queries)):
                started = time.perf_counter()
                self.search(queries[row : row + 1], effort, 1)
                seconds.append(time.perf_counter() - started)
        return seconds


def front(points: Iterable[dict[str, Any]], kind: str, figure: str) -> list[tuple[float, float]]:
    """(recall, figure) of the points that no other surpasses, by rising recall."""
    sign = 1 if figure.endswith("_ms") else -1  # of latencies the lesser is better
    of_kind = [(point["recall"], point[figure]) for point in points if point["kind"] == kind]
    best: list[tuple[float, float]] = []
    for recall, value in sorted(of_kind, key=lambda one: (-one[0], sign * one[1])):
        if not best or sign * value < sign * best[-1][1]:
            best.append((recall, value))
    return best[::-1]


def at_recall(
    points: Sequence[dict[str, Any]], kind: str, level: float, figure: str = "qps_batch"
) -> float | None:
    """Interpolate a figure at a recall, log-linearly between the neighbours on the front.

    Where even the least effort reaches the level, its figure; None where no effort does.
    """
    line = front(points, kind, figure)
    above = next((place for place, (recall, _) in enumerate(line) if recall >= level), None)
    if above is None:
        return None
    recall, value = line[above]
    if above == 0 or recall == level:
        return value
    low, low_value = line[above - 1]
    share = (level - low) / (recall - low)
    return math.exp((1 - share) * math.log(low_value) + share * math.log(value))


def unit(rows: NDArray[Any]) -> NDArray[Any]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
