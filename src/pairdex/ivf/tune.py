"""Measures which effort reaches which recall, for queries like the rows and for those of the other kind."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pairdex.ivf.efforts import TUNED_K, Effort, QueryKind
from pairdex.ivf.quantiser import rows_at
from pairdex.ivf.search import InvertedIndex, Plan
from pairdex.knn import cosine
from pairdex.knn.codes import Codes
from pairdex.progress import StepProgress

__all__ = ["QUERIES", "RECALLS", "Truth", "draw_queries", "find_truth", "lower_bound", "measure"]


# Queries of each kind, half as many for larger k. A third of them choose the efforts; the others, which
# had no part in the choice, measure what an effort promises.
QUERIES = 800
# Recalls for which an effort is stored.
RECALLS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99)
SPREAD_WEIGHTS: dict[QueryKind, tuple[float, ...]] = {
    "own": (0.3, 0.45, 0.6, 0.75),
    "other": (0.1, 0.15, 0.2, 0.25),
}
RERANKS = (1.5, 2, 3, 4, 6, 8, 16, 32)  # times k
_LESS = 0.9995  # factor on a share that promised too much
_MARGIN = 0.1  # of the missed rows: the choice aims this much higher than the recall to promise
_MORE = 0.1  # of the missed rows: how much higher after each promise that was not kept
_CONFIDENCE = 1.645  # standard errors below the mean: 95 %, one-sided
_RULE_K, _RULE_SUM = 10, 0.1  # SISAP's rule for queries: no near-duplicates among the 10 nearest
_ENOUGH = 100  # queries that follow the rule: with fewer, their recall is not looked at alone
_MANY = 0.95  # share of the true neighbours in the lists used to measure the loss from comparing few rows
_MOST_COMPARED = 1000  # rows for each query: beyond that, search exactly
_PROMISES = 10  # efforts that are confirmed for one recall
_TRIES = 6  # attempts to reach a recall
_MOST_LISTS = 0.5  # share of all lists: beyond that, search exactly
_COMPARED_COST = 40.0  # scanned rows that cost as much as one compared row
_TIE = 1e-9  # float64 cosine distances of equal vectors differ by less


@dataclass(frozen=True)
class Truth:
    """Queries with their exact neighbours.

    Attributes
    ----------
    queries
        (n, dim) float32.
    own
        (n,) the id of each query's own row, which does not count; -1 if it has none.
    ids, distances
        (n, max(TUNED_K) + 1) int64 and float64: the exact neighbours, including own rows.
    """

    queries: NDArray[np.float32]
    own: NDArray[np.int64]
    ids: NDArray[np.int64]
    distances: NDArray[np.float64]

    def part(self, which: slice | NDArray[np.bool_]) -> Truth:
        """Return some of the queries."""
        return Truth(self.queries[which], self.own[which], self.ids[which], self.distances[which])

    def recalls(self, found: cosine.Neighbours, k: int) -> NDArray[np.float64]:
        """recall@k of each query, (n,); every row as near as the k-th counts."""
        true = _without(self.own, self.ids, self.distances, k)
        got = _without(self.own, found.ids, found.distances, k)
        reach = np.isfinite(true)
        kth = np.where(reach, true, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
        hits = np.count_nonzero(got <= kth + _TIE, axis=1)
        shares: NDArray[np.float64] = hits / np.maximum(np.count_nonzero(reach, axis=1), 1)
        return shares

    def recall(self, found: cosine.Neighbours, k: int) -> float:
        """recall@k; every row as near as the k-th counts."""
        return float(self.recalls(found, k).mean())

    def follows_rule(self) -> NDArray[np.bool_]:
        """Return for each query whether it may be held out by SISAP's rule: no near-duplicates."""
        near = _without(self.own, self.ids, self.distances, _RULE_K)
        return np.asarray(near.sum(axis=1) > _RULE_SUM)

    def nearest(self) -> NDArray[np.float64]:
        """Return the distance of each query's nearest row other than its own, (n,)."""
        return _without(self.own, self.ids, self.distances, 1)[:, 0]

    def low(self, recalls: NDArray[np.float64], k: int) -> float:
        """Return what these recalls promise for other queries.

        It is the lower bound of their mean. Queries without near-duplicates are often harder. If
        there are enough, their bound counts too, so that the promise also holds for queries that are held
        out by SISAP's rule.
        """
        hard = self.follows_rule()
        bound = lower_bound(recalls, k)
        if np.count_nonzero(hard) < _ENOUGH:
            return bound
        return min(bound, lower_bound(recalls[hard], k))

    def neighbours(self, k: int) -> NDArray[np.int64]:
        """Return the ids of the k nearest rows except the own one, (n, k); -1 if there are fewer."""
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
    """Draw queries from the rows marked in `may`: (n, dim) float32, and their ids."""
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
    """Find the exact neighbours that the index is compared with."""
    found = cosine.nearest(blocks, queries, max(TUNED_K) + 1, allowed=allowed, codes=codes)
    return Truth(queries, own, found.ids, found.distances)


def measure(
    index: InvertedIndex,
    truth: Truth,
    kind: QueryKind,
    *,
    allowed: NDArray[np.bool_] | None = None,
    progress: StepProgress | None = None,
) -> dict[int, list[Effort]]:
    """Return, for each k, the cheapest effort that promises each recall, by ascending recall.

    Costs are counts of rows, so the result is the same on every machine.
    """
    efforts = {}
    for number, k in enumerate(TUNED_K):
        some = truth if k == TUNED_K[0] else truth.part(slice(None, None, 2))
        trial = _Trial(index, some, allowed)
        kept: list[Effort] = []
        for effort in _cheapest(trial, kind, k):
            if not kept or effort.low > kept[-1].low:
                kept.append(effort)
        efforts[k] = kept
        if progress is not None:
            progress(number + 1, len(TUNED_K))
    return efforts


def _cheapest(whole: _Trial, kind: QueryKind, k: int) -> Iterator[Effort]:
    """Yield the cheapest effort for each recall, by ascending recall.

    A third of the queries choose it, and the others confirm it.
    """
    trial, others = whole.split()
    by_weight = {weight: trial.list_ranks(k, weight) for weight in SPREAD_WEIGHTS[kind]}
    weight = min(by_weight, key=lambda each: by_weight[each].mean())
    ranks = np.sort(by_weight[weight])
    many = int(ranks[int(_MANY * (len(ranks) - 1))]) + 1
    in_lists = np.searchsorted(ranks, many) / len(ranks)
    shares = {
        rerank: float(trial.recall(k, Effort(many, rerank, weight)) / in_lists)
        for rerank in (int(times * k) for times in RERANKS)
        if rerank <= max(_MOST_COMPARED, 2 * k)
    }
    losses = _Losses(ranks, shares, trial.index.rows / trial.index.file.header.nlist)
    for wanted in RECALLS:
        effort = _promising(trial, others, k, wanted, weight=weight, losses=losses)
        if effort is None:
            return
        yield effort


def _promising(
    trial: _Trial, others: _Trial, k: int, wanted: float, *, weight: float, losses: _Losses
) -> Effort | None:
    """Return the cheapest effort whose lower bound, on the other queries, reaches a recall."""
    aim, confirmed = wanted + _MARGIN * (1 - wanted), None
    for _ in range(_PROMISES):
        effort = trial.reaching(k, aim, weight, losses)
        if effort is None:
            return None
        if confirmed is None or not confirmed.does_as_much_as(effort):
            confirmed = others.measured(k, effort)
        if confirmed.low >= wanted:
            return confirmed
        aim += _MORE * (1 - aim)
    return None


@dataclass
class _Losses:
    """Estimates of what a search misses.

    Attributes
    ----------
    ranks
        (n,) ascending: for each true neighbour, the number of lists that are scanned before its own.
        They determine the loss for every number of lists.
    shares
        By number of compared rows: the share of the neighbours in the scanned lists that is found.
    list_rows
        Average number of rows in a list.
    """

    ranks: NDArray[np.int64]
    shares: dict[int, float]
    list_rows: float

    def cheapest(self, recall: float) -> tuple[int, int] | None:
        """Return the cheapest numbers of lists and of compared rows that should reach a recall."""
        tries = []
        for rerank, share in self.shares.items():
            if recall <= share:
                place = min(int(np.ceil(recall / share * len(self.ranks))), len(self.ranks)) - 1
                nprobe = int(self.ranks[place]) + 1
                cost = nprobe * self.list_rows + rerank * _COMPARED_COST
                tries.append((cost, nprobe, rerank))
        return min(tries)[1:] if tries else None

    def learn(self, nprobe: int, rerank: int, reached: float) -> None:
        """Correct the share of `rerank` by the recall that was reached."""
        in_lists = np.searchsorted(self.ranks, nprobe) / len(self.ranks)
        share = min(self.shares[rerank] * _LESS, reached / max(in_lists, 1e-9))
        for fewer in self.shares:
            if fewer <= rerank:
                self.shares[fewer] = min(self.shares[fewer], share)


@dataclass(frozen=True)
class _Trial:
    """Searches with an index, compared with the exact neighbours."""

    index: InvertedIndex
    truth: Truth
    allowed: NDArray[np.bool_] | None

    def list_ranks(self, k: int, spread_weight: float) -> NDArray[np.int64]:
        """Return, for each true neighbour, the number of lists that are scanned before its own."""
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

    def split(self) -> tuple[_Trial, _Trial]:
        """Return a third of the queries, and the others; all twice if there are few."""
        chosen = np.arange(len(self.truth.queries)) % 3 == 0
        if len(chosen) < _ENOUGH:
            return self, self
        some, others = (replace(self, truth=self.truth.part(part)) for part in (chosen, ~chosen))
        return some, others

    def recall(self, k: int, effort: Effort) -> float:
        return self.truth.recall(self._search(k + 1, effort), k)

    def measured(self, k: int, effort: Effort) -> Effort:
        """Return an effort with what its recall and speed are on these queries."""
        started = time.perf_counter()
        found = self._search(k + 1, effort)
        qps = len(self.truth.queries) / (time.perf_counter() - started)
        recalls = self.truth.recalls(found, k)
        return replace(
            effort,
            recall=float(recalls.mean()),
            qps=qps,
            low=self.truth.low(recalls, k),
            queries=len(recalls),
        )

    def reaching(self, k: int, recall: float, weight: float, losses: _Losses) -> Effort | None:
        """Return the cheapest effort that is measured to reach a recall."""
        most = max(1, int(_MOST_LISTS * self.index.file.header.nlist))
        for _ in range(_TRIES):
            found = losses.cheapest(recall)
            if found is None or found[0] > most:
                return None
            effort = Effort(*found, weight)
            reached = self.recall(k, effort)
            if reached >= recall:
                return replace(effort, recall=reached)
            losses.learn(*found, reached)
        return None

    def _search(self, k: int, effort: Effort) -> cosine.Neighbours:
        enough = replace(effort, rerank=max(effort.rerank, k))
        return self.index.search(self.truth.queries, k, Plan(enough, enough), allowed=self.allowed)


def lower_bound(recalls: NDArray[np.float64], k: int) -> float:
    """Return the lower bound of the mean of each query's recall@k, at 95 % confidence, one-sided.

    One more query that misses a neighbour is counted in, so that a few perfect queries do not promise
    perfection.

    Examples
    --------
    >>> round(lower_bound(np.ones(100), 10), 4)
    0.9974
    """
    values = np.append(recalls, 1 - 1 / k)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return max(float(values.mean()) - _CONFIDENCE * error, 0.0)


def _without(
    own: NDArray[np.int64], ids: NDArray[np.int64], distances: NDArray[np.float64], k: int
) -> NDArray[np.float64]:
    """Return the k smallest distances of each query, without its own row."""
    return np.sort(np.where(ids == own[:, None], np.inf, distances), axis=1)[:, :k]
