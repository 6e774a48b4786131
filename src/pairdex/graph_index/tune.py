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
from pairdex.ivf.tune import RECALLS, Truth
from pairdex.progress import StepProgress

__all__ = ["measure_costs", "measure_efforts"]

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
_LEAST_VISITS = 1.4  # times k: see `measure_efforts`, and docs/indexing.md for the figures


def measure_efforts(
    graph: WalkedGraph,
    truth: Truth,
    *,
    allowed: NDArray[np.bool_] | None = None,
    progress: StepProgress | None = None,
) -> dict[int, list[GraphEffort]]:
    """Return, for each k, the least effort that promises each recall, by ascending recall.

    The queries are rows of the graph. Their walks never visit their own node: it leads straight to all
    of its neighbours, which a query that is not in the graph does not have. But the edges around it were
    chosen while it was there. So where a walk visits hardly more nodes than there are neighbours, queries
    that never were in the graph find less than was measured; such efforts are left out (`_LEAST_VISITS`).
    """
    efforts = {}
    nodes = graph.nodes_of(truth.own)  # it reads the heads of all nodes
    for number, k in enumerate(TUNED_K):
        some = slice(None, None, 1 if k == TUNED_K[0] else 2)
        avoided = np.ascontiguousarray(nodes[some])
        efforts[k] = _least(graph, truth.part(some), k, allowed=allowed, avoided=avoided)
        if progress is not None:
            progress(number + 1, len(TUNED_K))
    return efforts


def _least(
    graph: WalkedGraph,
    truth: Truth,
    k: int,
    *,
    allowed: NDArray[np.bool_] | None,
    avoided: NDArray[np.uint32],
) -> list[GraphEffort]:
    kept: list[GraphEffort] = []
    wanted = iter(RECALLS)
    recall = next(wanted, None)
    for visits in (each for each in VISITS if each >= _LEAST_VISITS * k):
        if recall is None:
            break
        effort = _measured(graph, truth, k, visits, allowed=allowed, avoided=avoided)
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
    avoided: NDArray[np.uint32],
) -> GraphEffort:
    started = time.perf_counter()
    found = graph.search(
        truth.queries, k + 1, GraphEffort(visits), allowed=allowed, avoided=avoided
    )
    qps = len(truth.queries) / (time.perf_counter() - started)
    recalls = truth.recalls(found, k)
    return GraphEffort(visits, float(recalls.mean()), truth.low(recalls, k), qps, len(recalls))


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
