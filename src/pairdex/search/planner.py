"""Decides how a search goes: by the index or exactly, for each kind of query by expected cost.

The decision is a function of measured costs and of the situation alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex.ivf.costs import Costs, QueryKind
from pairdex.ivf.efforts import TUNED_K, Effort, OperatingPoints
from pairdex.knn.ways import Choice, Way
from pairdex.wording import counted

__all__ = ["CODES", "INDEX", "ROWS", "Situation", "decide", "only"]

INDEX, CODES, ROWS = "ivf", "codes", "rows"  # the names of ways
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
) -> tuple[Choice, Effort | None]:
    """Choose the way of the queries of one kind.

    Parameters
    ----------
    kind
        None for queries unlike any known kind.
    positions
        (n,) the positions of these queries in their batch; n decides, not the size of the batch.

    Returns
    -------
    Choice, Effort or None
        The choice; and the effort of a search by the index, if that is the choice.
    """
    like: QueryKind = "own" if kind is None else kind
    effort = None if kind is None else points.pick(kind, situation.k, situation.recall)
    if effort is None:
        index = Way(INDEX, why_not=_no_promise(kind, points, situation))
    else:
        index = _by_index(like, len(positions), effort, costs, situation)
    exact = [_exactly(name, like, len(positions), costs, situation) for name in (CODES, ROWS)]
    ways = (index, *exact)
    possible = [way for way in ways if way.why_not is None]
    taken = min(possible, key=lambda way: way.microseconds or 0.0)
    because = _FASTEST if len(possible) > 1 else _ONLY
    choice = Choice(kind or "unknown", taken.name, because, ways, positions)
    return choice, effort if taken is index else None


def only(way: Way, because: str, queries: int, *others: Way) -> tuple[Choice, ...]:
    """Return the choice of a search whose way does not depend on costs."""
    return (Choice("all", way.name, because, (*others, way), np.arange(queries)),)


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
