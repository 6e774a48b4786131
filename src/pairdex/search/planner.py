"""Decides how a search goes: by the graph, by lists or exactly, for each kind of query by expected cost.

The decision is a function of measured costs and of the situation alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pairdex.graph_index.efforts import GraphEffort, GraphPoints
from pairdex.ivf.costs import Costs, QueryKind
from pairdex.ivf.efforts import TUNED_K, Effort, OperatingPoints
from pairdex.knn.ways import Choice, Way
from pairdex.wording import counted

__all__ = ["CODES", "GRAPH", "INDEX", "ROWS", "Situation", "decide", "only"]

GRAPH, INDEX, CODES, ROWS = "graph", "ivf", "codes", "rows"  # the names of ways
_FASTEST = "it is expected to be the fastest"
_ONLY = "it is the only way that is possible"
_UNKNOWN = "the queries are unlike the rows, and the index was built without vectors like them"


@dataclass(frozen=True)
class Situation:
    """What a decision depends on besides costs and queries.

    Attributes
    ----------
    rows, nlist
        The number of rows of the index, and of its lists.
    k
        The number of neighbours to find.
    recall
        The recall to reach.
    allowed
        The number of rows that a filter allows; None without a filter or removed rows.
    why_no_codes
        Why an exact search has no codes; None if it has.
    """

    rows: int
    nlist: int
    k: int
    recall: float
    allowed: int | None = None
    why_no_codes: str | None = None


def decide(
    kind: QueryKind | None,
    positions: NDArray[np.int64],
    points: OperatingPoints,
    costs: Costs,
    situation: Situation,
    *,
    graph: GraphPoints | None = None,
) -> tuple[Choice, Effort | GraphEffort | None]:
    """Choose the way of the queries of one kind.

    Parameters
    ----------
    kind
        None for queries unlike any known kind.
    positions
        (n,) the positions of these queries in their batch; n decides, not the size of the batch.
    graph
        The operating points of the graph; None if there is none.

    Returns
    -------
    Choice, Effort or GraphEffort or None
        The choice; and the effort of a search by the index or the graph, if that is the choice.
    """
    like: QueryKind = "own" if kind is None else kind
    effort = None if kind is None else points.pick(kind, situation.k, situation.recall)
    if effort is None:
        index = Way(INDEX, why_not=_no_promise(kind, points, situation))
    else:
        index = _by_index(like, len(positions), effort, costs, situation)
    exact = [_exactly(name, like, len(positions), costs, situation) for name in (CODES, ROWS)]
    walk, walk_effort = _by_graph(kind, len(positions), graph, situation)
    ways = (index, *exact) if graph is None else (walk, index, *exact)
    possible = [way for way in ways if way.why_not is None]
    taken = min(possible, key=lambda way: way.microseconds or 0.0)
    because = _FASTEST if len(possible) > 1 else _ONLY
    choice = Choice(kind or "unknown", taken.name, because, ways, positions)
    efforts = {GRAPH: walk_effort, INDEX: effort}
    return choice, efforts.get(taken.name)


def only(way: Way, because: str, queries: int, *others: Way) -> tuple[Choice, ...]:
    """Return the choice of a search whose way does not depend on costs."""
    return (Choice("all", way.name, because, (*others, way), np.arange(queries)),)


def _by_graph(
    kind: QueryKind | None, queries: int, points: GraphPoints | None, situation: Situation
) -> tuple[Way, GraphEffort | None]:
    """Return the way of a walk, and its effort if it is known.

    The k nearest of the rows that a filter allows are about the k / share nearest of all rows: a walk must
    reach as far as without a filter for that many.
    """
    if kind != "own" or points is None:
        return Way(GRAPH, why_not="it serves queries that are like the rows"), None
    share = 1.0
    if situation.allowed is not None:
        share = max(situation.allowed, 1) / situation.rows
    sought = math.ceil(situation.k / share)
    effort = points.pick(sought, situation.recall)
    if effort is None:
        why = f"it promises no recall of {situation.recall:g} for {counted(sought, 'neighbour')}"
        why += "" if situation.allowed is None else f", of which the filter leaves {situation.k:,}"
        return Way(GRAPH, why_not=why), None
    effort = replace(effort, visits=max(math.ceil(effort.visits * share), situation.k))
    is_filtered = situation.allowed is not None
    time = points.costs.of(queries, effort.visits / share, is_filtered=is_filtered)
    params = f"visits={effort.visits}"
    if time is None:
        why = "its cost was not measured"
        return Way(GRAPH, recall=effort.promised, params=params, why_not=why), None
    return Way(GRAPH, time / 1e3, effort.promised, params), effort


def _by_index(
    kind: QueryKind, queries: int, effort: Effort, costs: Costs, situation: Situation
) -> Way:
    a_list = situation.rows / situation.nlist
    seen = scanned = effort.nprobe * a_list
    params = f"nprobe={effort.nprobe} rerank={max(effort.rerank, situation.k)}"
    if situation.allowed is not None:
        seen = effort.nprobe * (a_list + 1)
        if situation.allowed <= seen:
            why = f"the filter leaves {counted(situation.allowed, 'row')}, and the lists would show {seen:,.0f}"
            return Way(INDEX, recall=effort.promised, params=params, why_not=why)
        scanned = seen * situation.rows / situation.allowed
    time = costs.of_index(
        kind,
        queries,
        scanned=scanned,
        compared=max(effort.rerank, situation.k),
        filtered=situation.allowed is not None,
    )
    if time is None:
        why = "its cost was not measured for such queries"
        return Way(INDEX, recall=effort.promised, params=params, why_not=why)
    return Way(INDEX, time / 1e3, effort.promised, params)


def _exactly(name: str, kind: QueryKind, queries: int, costs: Costs, situation: Situation) -> Way:
    time = costs.of_exact(
        kind,
        queries,
        by_codes=name == CODES,
        rows=situation.rows,
        allowed=situation.allowed,
        k=situation.k,
    )
    microseconds = None if time is None else time / 1e3
    if name == ROWS:
        return Way(ROWS, microseconds, 1.0)
    why = situation.why_no_codes
    if why is None and time is None:
        why = "its cost was not measured"
    return Way(CODES, microseconds if why is None else None, 1.0, why_not=why)


def _no_promise(kind: QueryKind | None, points: OperatingPoints, situation: Situation) -> str:
    """Return why no effort of the index promises the recall."""
    if kind is None:
        return _UNKNOWN
    if situation.k > TUNED_K[-1]:
        return f"k is {situation.k:,}, and the index promises a recall for at most {TUNED_K[-1]}"
    if not points.efforts[kind]:
        return "no recall was measured for such queries"
    return (
        f"no effort of the index promises a recall of {situation.recall:g} for {situation.k} "
        "neighbours of such queries"
    )
