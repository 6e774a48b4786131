"""Measuring an inverted file: which efforts reach which recall, for queries like the rows and for those of the other kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pairdex import knn
from pairdex.codes import Codes
from pairdex.ivf.efforts import TUNED_K, Effort, QueryKind
from pairdex.ivf.quantiser import rows_at
from pairdex.ivf.search import InvertedIndex, Plan

__all__ = ["QUERIES", "Truth", "draw_queries", "find_truth", "measure"]

Progress = Callable[[int, int], None]

QUERIES = 400  # of each kind: recall@10 is then known to about .005
# Recall that points are kept for.
RECALLS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99)
SPREAD_WEIGHTS: dict[QueryKind, tuple[float, ...]] = {
    "own": (0.3, 0.45, 0.6, 0.75),
    "other": (0.1, 0.15, 0.2, 0.25),
}
RERANKS = (1.5, 2, 3, 4, 6, 8, 16)  # times k
_MARGIN = 0.1  # of the rows missed: so much better has an effort to be on these queries, since others may be harder
_MANY = 0.95  # of the true neighbours are in the lists with which the loss by comparing few rows is measured
_MORE = 1.1  # times as many lists are tried where the first try falls short of a recall
_COMPARED_COST = 40.0  # rows scanned that cost as much as one that is compared
_TIE = 1e-9  # float64 cosine distances of equal vectors differ by less


@dataclass(frozen=True)
class Truth:
    """Queries with what the exact search finds.

    Attributes
    ----------
    queries
        (n, dim) float32.
    own
        (n,) the id of each query's own row, which does not count; -1 for others.
    ids, distances
        (n, most k + 1) int64 and float64 of the exact neighbours, own rows among them.
    """

    queries: NDArray[np.float32]
    own: NDArray[np.int64]
    ids: NDArray[np.int64]
    distances: NDArray[np.float64]

    def recall(self, found: knn.Neighbours, k: int) -> float:
        """recall@k: rows as near as the k-th count, whichever they are."""
        true = _without(self.own, self.ids, self.distances, k)
        got = _without(self.own, found.ids, found.distances, k)
        reach = np.isfinite(true)
        kth = np.where(reach, true, -np.inf).max(axis=1, keepdims=True)
        return int(np.count_nonzero(got <= kth + _TIE)) / max(int(np.count_nonzero(reach)), 1)

    def neighbours(self, k: int) -> NDArray[np.int64]:
        """Return the ids of the k nearest rows but the own one, (n, k); -1 where there are fewer."""
        distances = np.where(self.ids == self.own[:, None], np.inf, self.distances)
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        near = np.take_along_axis(self.ids, order, axis=1)
        return np.where(np.isfinite(np.take_along_axis(distances, order, axis=1)), near, -1)


def draw_queries(
    blocks: Sequence[NDArray[np.float16]],
    *,
    seed: int,
    may: NDArray[np.bool_],
    count: int = QUERIES,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw rows that may be queries, (n, dim) float32 with their ids."""
    ids = np.flatnonzero(may)
    ids = np.sort(np.random.default_rng(seed).choice(ids, min(count, len(ids)), replace=False))
    return rows_at(blocks, ids).astype(np.float32), ids


def find_truth(
    blocks: Sequence[NDArray[np.float16]],
    queries: NDArray[np.float32],
    own: NDArray[np.int64],
    *,
    codes: Codes | None,
    allowed: NDArray[np.bool_] | None,
) -> Truth:
    """Search exactly for what the index will be compared with."""
    found = knn.nearest(blocks, queries, max(TUNED_K) + 1, allowed=allowed, codes=codes)
    return Truth(queries, own, found.ids, found.distances)


def measure(
    index: InvertedIndex,
    truth: Truth,
    kind: QueryKind,
    *,
    allowed: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> dict[int, list[Effort]]:
    """Return, for each k, the cheapest efforts that reach each recall, by rising recall.

    Which is the cheapest is decided by counts of rows, so that it is the same on every machine.
    """
    trial = _Trial(index, truth, allowed)
    efforts = {}
    for number, k in enumerate(TUNED_K):
        kept: list[Effort] = []
        for effort in _cheapest(trial, kind, k):
            if not kept or effort.recall > kept[-1].recall:
                kept.append(effort)
        efforts[k] = kept
        if progress is not None:
            progress(number + 1, len(TUNED_K))
    return efforts


def _cheapest(trial: _Trial, kind: QueryKind, k: int) -> Iterator[Effort]:
    """Yield for each recall the cheapest effort that reaches it, by rising recall.

    What the choice of lists loses is known from where the true neighbours are; what comparing few rows
    loses is measured once, with many lists. Where both together fall short, more lists are scanned.
    """
    weight = min(SPREAD_WEIGHTS[kind], key=lambda each: trial.list_ranks(k, each).mean())
    ranks = np.sort(trial.list_ranks(k, weight))
    nlist = trial.index.file.header.nlist
    many = int(ranks[int(_MANY * (len(ranks) - 1))]) + 1
    ceiling = trial.recall(k, Effort(many, int(max(RERANKS) * k), weight))
    by_rerank = {
        int(times * k): trial.recall(k, Effort(many, int(times * k), weight)) / max(ceiling, 1e-9)
        for times in RERANKS
    }
    for wanted in RECALLS:
        tries = []
        for rerank, share in by_rerank.items():
            if wanted <= share:
                place = min(int(np.ceil(wanted / share * len(ranks))), len(ranks)) - 1
                nprobe = int(ranks[place]) + 1
                cost = nprobe * trial.index.rows / nlist + rerank * _COMPARED_COST
                tries.append((cost, nprobe, rerank))
        if not tries:
            return
        _, nprobe, rerank = min(tries)
        goal = wanted + _MARGIN * (1 - wanted)
        effort = trial.reaching(k, goal, Effort(nprobe, rerank, weight))
        if effort is None:
            return
        yield effort


@dataclass(frozen=True)
class _Trial:
    """Searches with an index whose answers are known."""

    index: InvertedIndex
    truth: Truth
    allowed: NDArray[np.bool_] | None

    def list_ranks(self, k: int, spread_weight: float) -> NDArray[np.int64]:
        """Return for all true neighbours how many lists are scanned before theirs."""
        scores = self._scores(spread_weight)
        ranks = np.argsort(np.argsort(-scores, axis=1), axis=1)
        ids = self.truth.neighbours(k)
        return np.take_along_axis(ranks, self.index.lists_of(ids), axis=1)[ids >= 0]

    def _scores(self, spread_weight: float) -> NDArray[np.float32]:
        basis, centroids = self.index.file.section("basis"), self.index.file.section("centroids")
        queries = self.truth.queries
        units = queries / np.linalg.norm(queries, axis=1, keepdims=True)
        coordinates = units @ basis[:, : units.shape[1]].T
        spreads = self.index.file.section("spreads")[: len(centroids)]
        scores: NDArray[np.float32] = (
            coordinates @ centroids.T + np.float32(spread_weight) * spreads
        )
        return scores

    def recall(self, k: int, effort: Effort) -> float:
        return self.truth.recall(self._search(k + 1, effort), k)

    def reaching(self, k: int, recall: float, effort: Effort) -> Effort | None:
        """Return the effort with as many more lists as it takes, and what it then reaches."""
        nlist = self.index.file.header.nlist
        while True:
            started = time.perf_counter()
            found = self._search(k + 1, effort)
            qps = len(self.truth.queries) / (time.perf_counter() - started)
            reached = self.truth.recall(found, k)
            if reached >= recall:
                return replace(effort, recall=reached, qps=qps)
            if effort.nprobe == nlist:
                return None
            more = max(int(effort.nprobe * _MORE), effort.nprobe + 1)
            effort = replace(effort, nprobe=min(more, nlist))

    def _search(self, k: int, effort: Effort) -> knn.Neighbours:
        enough = replace(effort, rerank=max(effort.rerank, k))
        return self.index.search(self.truth.queries, k, Plan(enough, enough), allowed=self.allowed)


def _without(
    own: NDArray[np.int64], ids: NDArray[np.int64], distances: NDArray[np.float64], k: int
) -> NDArray[np.float64]:
    """Return the k smallest distances of each query, its own row left out."""
    return np.sort(np.where(ids == own[:, None], np.inf, distances), axis=1)[:, :k]
