"""Approximate search by an index, used where it reaches the target recall at a lower cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.ivf.efforts import OperatingPoints, check_recall
from pairdex.ivf.search import InvertedIndex, Plan
from pairdex.knn import cosine
from pairdex.store.store import Store

__all__ = ["incomplete", "nearest_by_index"]


def nearest_by_index(
    store: Store,
    index: InvertedIndex,
    points: OperatingPoints,
    vectors: NDArray[Any],
    k: int,
    *,
    where: str | None = None,
    recall: float | None = None,
) -> cosine.Neighbours | None:
    """Search the index for the k nearest rows of each vector that satisfy `where`.

    Parameters
    ----------
    vectors
        Shape (n, dim).
    recall
        Target recall, as measured when the index was built. The default is the index's own target.

    Returns
    -------
    Neighbours or None
        None if the caller should search exactly. This happens if an exact search has a lower
        estimated cost (few rows qualify, or the collection is small). It also happens if the index
        has no operating point that reaches the recall for this k and kind of query. Some queries
        may find fewer rows than qualify; `incomplete` lists them.

    Raises
    ------
    InvalidArgument, Mismatch
        The recall is out of bounds, or a query has zero length or another dimension.
    """
    wanted = points.recall if recall is None else recall
    check_recall(wanted)
    queries = cosine.check_queries(vectors)
    if len(queries) == 0:
        return None
    plan = index.plan(points, queries, k, wanted)
    if plan is None:
        return None
    allowed = store.allowed(where)
    if not index.is_cheaper(plan, len(queries), allowed):
        return None
    found = index.search(queries, k, plan, allowed=allowed)
    answered = _answered(plan, wanted, points.build_seconds)
    reached = min(plan.own.recall, plan.other.recall)
    return replace(found, report=replace(found.report, recall=reached, answered=answered))


def _answered(plan: Plan, asked: float, build_seconds: float | None) -> cosine.Answered:
    efforts = {"": plan.own} if plan.own == plan.other else {"own_": plan.own, "other_": plan.other}
    return cosine.Answered(
        "ivf",
        " ".join(
            f"{kind}nprobe={effort.nprobe} {kind}rerank={effort.rerank}"
            for kind, effort in efforts.items()
        ),
        asked=asked,
        promised=min(plan.own.promised, plan.other.promised),
        measured_on=min(plan.own.queries, plan.other.queries),
        build_seconds=build_seconds,
    )


def incomplete(store: Store, found: cosine.Neighbours, where: str | None) -> NDArray[np.int64]:
    """Return the positions of the queries that found fewer than k rows although more qualify.

    The filter excludes their near rows, so the tuned search effort does not apply to them.
    """
    allowed = store.allowed(where)
    n_allowed = store.rows if allowed is None else int(np.count_nonzero(allowed))
    last = min(found.ids.shape[1], n_allowed) - 1
    return np.flatnonzero(found.ids[:, last] < 0) if last >= 0 else np.empty(0, np.int64)
