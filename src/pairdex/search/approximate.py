"""The nearest rows by an index: where it is the cheaper way to the recall that is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.ivf.efforts import OperatingPoints, check_recall
from pairdex.ivf.search import InvertedIndex
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
    """Return the k nearest rows of each vector by an index, those among them that satisfy `where`.

    Parameters
    ----------
    vectors
        Shape (n, dim).
    recall
        What the answer should reach, as it was measured when the index was built; the index's own
        unless it is given.

    Returns
    -------
    Neighbours or None
        None where an exact search is the better way: it costs less by estimate (few rows are allowed, or
        there are few at all), or no effort is known to reach the recall for so many neighbours, or for
        queries of this kind. Queries for which the index knows no answer have found fewer rows than
        qualify: `incomplete` tells which.

    Raises
    ------
    InvalidArgument, Mismatch
        A recall out of bounds; a query without a direction or of another dimension.
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
    reached = min(plan.own.recall, plan.other.recall)
    return replace(found, report=replace(found.report, recall=reached))


def incomplete(store: Store, found: cosine.Neighbours, where: str | None) -> NDArray[np.int64]:
    """Return the numbers of the queries that found fewer rows than k, or than qualify.

    The filter leaves out what is near to them, so the index does not know how far it has to look.
    """
    allowed = store.allowed(where)
    n_allowed = store.rows if allowed is None else int(np.count_nonzero(allowed))
    last = min(found.ids.shape[1], n_allowed) - 1
    return np.flatnonzero(found.ids[:, last] < 0) if last >= 0 else np.empty(0, np.int64)
