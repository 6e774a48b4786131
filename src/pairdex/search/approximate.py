"""Searches a collection with an index: each kind of query of a batch goes the way that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pairdex.graph_index.efforts import GraphEffort, GraphPoints
from pairdex.graph_index.search import WalkedGraph
from pairdex.ivf.efforts import Effort, OperatingPoints
from pairdex.ivf.search import InvertedIndex, Plan
from pairdex.knn.cosine import Answered, Neighbours, Report, total_counts
from pairdex.knn.ways import Choice
from pairdex.search.planner import CODES, GRAPH, INDEX, ROWS

__all__ = ["Indexes", "Planned", "search_by_choices"]

Exactly = Callable[[NDArray[np.float32], bool], Neighbours]
"""Searches queries (n, dim) exactly; the flag says whether by codes."""


@dataclass(frozen=True)
class Indexes:
    """The index of one kind of vectors, and its graph if it has one, with their operating points."""

    lists: InvertedIndex
    points: OperatingPoints
    graph: WalkedGraph | None = None
    graph_points: GraphPoints | None = None

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        effort: Effort | GraphEffort,
        allowed: NDArray[np.bool_] | None,
    ) -> Neighbours:
        """Search by what the effort belongs to."""
        if isinstance(effort, GraphEffort):
            assert self.graph is not None, "its effort was chosen"
            return self.graph.search(queries, k, effort, allowed=allowed)
        enough = replace(effort, rerank=max(effort.rerank, k))
        return self.lists.search(queries, k, Plan(enough, enough), allowed=allowed)


@dataclass(frozen=True)
class Planned:
    """The choices for a batch of queries, which cover each of them once.

    Attributes
    ----------
    efforts
        For each choice, the effort of a search by the index or the graph; None for an exact one.
    recall
        The recall asked for.
    """

    choices: tuple[Choice, ...]
    efforts: tuple[Effort | GraphEffort | None, ...]
    recall: float


def search_by_choices(
    indexes: Indexes,
    queries: NDArray[np.float32],
    k: int,
    planned: Planned,
    *,
    allowed: NDArray[np.bool_] | None,
    exactly: Exactly,
) -> Neighbours:
    """Search each kind of query by its own way, and return the answers in the order of the queries.

    Queries that find fewer than k rows by the index although more qualify are searched exactly: a filter
    excludes their near rows, so the tuned effort does not apply to them.

    Parameters
    ----------
    allowed
        (rows,): only rows where it is true are found.

    Raises
    ------
    Mismatch
        Queries of another dimension.
    """
    found: list[_Part] = []
    left: dict[str, list[NDArray[np.int64]]] = {CODES: [], ROWS: []}
    for choice, effort in zip(planned.choices, planned.efforts, strict=True):
        if effort is None:
            left[choice.taken].append(choice.positions)
            continue
        some = _taken(queries, choice.positions)
        part = indexes.search(some, k, effort, allowed)
        found.append(_Part(choice.positions, part, choice.taken))
        missed = _incomplete(part, indexes.lists.rows, allowed)
        left[_best_exact(choice)].append(choice.positions[missed])
    exact = []
    for way, positions in left.items():
        asked = np.sort(np.concatenate(positions)) if positions else np.empty(0, np.int64)
        if len(asked):
            exact.append(_Part(asked, exactly(_taken(queries, asked), way == CODES), way))
    report = _report(planned, indexes, found, exact)
    return _merged([*found, *exact], (len(queries), k), report)


@dataclass(frozen=True)
class _Part:
    """The answers of some queries of a batch."""

    positions: NDArray[np.int64]
    found: Neighbours
    by: str


def _taken(queries: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return some queries; without a copy if they are all."""
    return queries if len(positions) == len(queries) else queries[positions]


def _best_exact(choice: Choice) -> str:
    possible = [one for one in choice.ways if one.name in (CODES, ROWS) and one.why_not is None]
    return min(possible, key=lambda way: way.microseconds or 0.0).name


def _incomplete(
    found: Neighbours, rows: int, allowed: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """Return the places of the queries that found fewer than k rows although more qualify."""
    n_allowed = rows if allowed is None else int(np.count_nonzero(allowed))
    last = min(found.ids.shape[1], n_allowed) - 1
    return np.flatnonzero(found.ids[:, last] < 0) if last >= 0 else np.empty(0, np.int64)


def _merged(parts: Sequence[_Part], shape: tuple[int, int], report: Report) -> Neighbours:
    """Return the answers in the order of the queries; later parts replace earlier ones."""
    if len(parts) == 1:
        return replace(parts[0].found, report=report)
    ids, distances = np.empty(shape, np.int64), np.empty(shape, np.float64)
    for part in parts:
        ids[part.positions], distances[part.positions] = part.found.ids, part.found.distances
    return Neighbours(ids, distances, report)


def _report(
    planned: Planned, indexes: Indexes, by_index: Sequence[_Part], exact: Sequence[_Part]
) -> Report:
    """Return what the parts did together, and what answered which query."""
    reports = [part.found.report for part in (*by_index, *exact)]
    counts = total_counts(reports)
    exactly = sorted(number for part in exact for number in part.positions.tolist())
    answered = Answered(asked=planned.recall, choices=planned.choices)
    total = sum(len(choice.positions) for choice in planned.choices)
    if len(exactly) == total:
        return Report(*counts, answered=answered)
    efforts = [effort for effort in planned.efforts if effort is not None]
    by_graph = any(part.by == GRAPH for part in by_index)
    lists = [part.positions for part in by_index if part.by == INDEX] if by_graph else []
    answered = replace(
        answered,
        by=GRAPH if by_graph else INDEX,
        by_lists=tuple(sorted({int(one) for some in lists for one in some} - set(exactly))),
        params=_params(planned),
        promised=min(effort.promised for effort in efforts),
        measured_on=min(effort.queries for effort in efforts),
        build_seconds=_build_seconds(indexes, by_graph),
        exactly=tuple(exactly),
    )
    recall = min(effort.recall for effort in efforts)
    return Report(*counts, certified=False, exact=False, recall=recall, answered=answered)


def _build_seconds(indexes: Indexes, by_graph: bool) -> float | None:
    if by_graph and indexes.graph_points is not None:
        return indexes.graph_points.build_seconds
    return indexes.points.build_seconds


def _params(planned: Planned) -> str:
    """Return the settings of the index; with the kind of queries before them if kinds differ."""
    used = [choice for choice in planned.choices if choice.taken in (GRAPH, INDEX)]
    if len({choice.way.params for choice in used}) == 1:
        return used[0].way.params
    return " ".join(
        f"{choice.kind}_{setting}" for choice in used for setting in choice.way.params.split()
    )
