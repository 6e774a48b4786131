"""Measures which effort of a graph reaches which recall, and what walks cost on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pairdex.graph_index.efforts import GraphCosts, GraphEffort, WalkCost
from pairdex.graph_index.search import WalkedGraph
from pairdex.ivf.costs import COSTED_K, this_machine
from pairdex.ivf.efforts import TUNED_K
from pairdex.ivf.tune import QUERIES, RECALLS, Truth, lower_bound
from pairdex.progress import StepProgress

__all__ = ["held_out_count", "measure_costs", "measure_efforts"]

Clock = Callable[[], float]

VISITS = (
    10,
    12,
    14,
    16,
    18,
    20,
    24,
    28,
    32,
    40,
    48,
    64,
    80,
    100,
    128,
    160,
    200,
    256,
    320,
    400,
    512,
)
_BATCHES = (1, 16, 256)
_SINGLES = 24  # single queries in a row: each walks elsewhere
_ROUNDS = 3  # turns in which everything is timed; the least time counts
_FEW, _MANY = 16, 96  # visits of the two efforts that are timed
_SHARE = 1 / 4  # of the rows that the timed filter allows
_SEED = 20260202  # of the filter; any
_HELD_OUT = 10  # of that many rows, at most one is held out
_ENOUGH = 100  # queries: as many are held out also of fewer rows; of fewer, a bound says little
_TWIN = 0.01  # 1 - cos: the same picture, saved again
_LEAST_VISITS = (
    1.4  # times k: of fewer visits, held-out queries found a little less than was measured
)


def held_out_count(rows: int) -> int:
    """Return how many rows to hold out as queries: few enough for the others to be as hard to search."""
    return min(QUERIES, max(rows // _HELD_OUT, min(rows // 2, _ENOUGH)))


def measure_efforts(
    graph: WalkedGraph,
    truth: Truth,
    *,
    allowed: NDArray[np.bool_] | None = None,
    progress: StepProgress | None = None,
) -> dict[int, list[GraphEffort]]:
    """Return, for each k, the least effort that promises each recall, by ascending recall.

    Parameters
    ----------
    graph
        A graph without the nodes of the queries (`WalkedGraph.without`).
    """
    efforts = {}
    for number, k in enumerate(TUNED_K):
        some = slice(None, None, 1 if k == TUNED_K[0] else 2)
        efforts[k] = _least(graph, truth.part(some), k, allowed=allowed)
        if progress is not None:
            progress(number + 1, len(TUNED_K))
    return efforts


def _least(
    graph: WalkedGraph,
    truth: Truth,
    k: int,
    *,
    allowed: NDArray[np.bool_] | None,
) -> list[GraphEffort]:
    kept: list[GraphEffort] = []
    wanted = iter(RECALLS)
    recall = next(wanted, None)
    for visits in (each for each in VISITS if each >= _LEAST_VISITS * k):
        if recall is None:
            break
        effort = _measured(graph, truth, k, visits, allowed=allowed)
        if effort.low < recall:
            continue
        kept.append(effort)
        recall = next((each for each in wanted if each > effort.low), None)
    return kept


def _measured(
    graph: WalkedGraph,
    truth: Truth,
    k: int,
    visits: int,
    *,
    allowed: NDArray[np.bool_] | None,
) -> GraphEffort:
    started = time.perf_counter()
    found = graph.search(truth.queries, k + 1, GraphEffort(visits), allowed=allowed)
    qps = len(truth.queries) / (time.perf_counter() - started)
    recalls = truth.recalls(found, k)
    return GraphEffort(visits, float(recalls.mean()), _low(truth, recalls, k), qps, len(recalls))


def _low(truth: Truth, recalls: NDArray[np.float64], k: int) -> float:
    """Return what recalls promise: their lower bound, also that of the queries without a twin alone.

    A row that is nearly the same as the query leads to all of its neighbours. Other queries have fewer twins
    in the collection than its own rows have.
    """
    low, alone = truth.low(recalls, k), truth.nearest() > _TWIN
    if np.count_nonzero(alone) < _ENOUGH:
        return low
    return min(low, lower_bound(recalls[alone], k))


def measure_costs(
    graph: WalkedGraph,
    queries: NDArray[np.float32],
    *,
    rounds: int = _ROUNDS,
    clock: Clock = time.perf_counter,
) -> GraphCosts:
    """Measure what walks cost on this machine, with queries (n, dim) that have a direction."""
    allowed = np.random.default_rng(_SEED).random(graph.rows) < _SHARE
    batches = []
    for size in _BATCHES if len(queries) else ():
        some = np.ascontiguousarray(np.resize(queries, (max(size, _SINGLES), queries.shape[1])))
        least = dict.fromkeys(("few", "many", "filtered"), np.inf)
        for _ in range(rounds):
            for name, visits, flags in (
                ("few", _FEW, None),
                ("many", _MANY, None),
                ("filtered", _FEW, allowed),
            ):
                spent = _time(graph, some, size, GraphEffort(visits), allowed=flags, clock=clock)
                least[name] = min(least[name], spent)
        batches.append(_cost(size, least["few"], least["many"], least["filtered"]))
    return GraphCosts(this_machine(), tuple(batches))


def _time(
    graph: WalkedGraph,
    queries: NDArray[np.float32],
    size: int,
    effort: GraphEffort,
    *,
    allowed: NDArray[np.bool_] | None,
    clock: Clock,
) -> float:
    """Return the time of one query in batches of a size, in ns."""
    started = clock()
    for first in range(0, len(queries), size):
        graph.search(queries[first : first + size], COSTED_K, effort, allowed=allowed)
    return (clock() - started) * 1e9 / len(queries)


def _cost(size: int, few: float, many: float, filtered: float) -> WalkCost:
    visit = min(max(many - few, 0.0) / (_MANY - _FEW), few / _FEW)
    fixed = max(few - visit * _FEW, 0.0)
    per_filtered = max(filtered - fixed, visit * _FEW) * _SHARE / _FEW
    return WalkCost(size, fixed, visit, per_filtered)
