"""Runs: result files after comparison with a gold standard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pairdex.evaluation.recall import found_true, found_true_or_tied
from pairdex.evaluation.results import Result
from pairdex.files.neighbour_files import Fact
from pairdex.wording import counted

__all__ = ["Run", "View", "compare", "views"]


@dataclass(frozen=True)
class Run:
    """Measurements of one search of all queries.

    Attributes
    ----------
    algo, params, data, size, task, dataset
        As in the file; None if missing.
    queries
        The kind of the queries (image, text), if the gold standard states it; `mixed` for several.
    recall, recall_ties
        Recall@k; `recall_ties` also accepts every row at the distance of the k-th neighbour.
    recall_by_kind
        Recall@k per kind of queries, if there are several kinds.
    qps
        Queries per second: n / querytime. Of a graph of all rows, rows per second with the build. None
        without a time.
    buildtime, querytime, optimtime
        In seconds; None if the file lacks it.
    answered_by
        What answered, if the file says it: `ivf`, or `ivf 990, exact 10` if queries differ.
    peak_memory_bytes
        The largest memory of the process, if the file says it.
    """

    file: str
    algo: str | None
    params: str | None
    data: str | None
    size: Fact | None
    task: str | None
    dataset: str | None
    queries: str | None
    n: int
    k: int
    recall: float
    recall_ties: float
    qps: float | None
    buildtime: float | None
    querytime: float | None
    optimtime: float | None
    recall_by_kind: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    answered_by: str | None = None
    peak_memory_bytes: int | None = None

    @property
    def name(self) -> str:
        """The algorithm's name, or the file's name if the algorithm is missing."""
        return self.algo or self.file

    @property
    def group(self) -> tuple[str, ...]:
        """The key shared by runs of one algorithm on one task."""
        of = (self.name, self.data, self.size, self.task, self.dataset)
        return tuple("" if one is None else str(one) for one in of)


@dataclass(frozen=True)
class View:
    """A run restricted to its queries of one kind."""

    run: Run
    kind: str | None
    recall: float


def compare(result: Result, k: int) -> Run:
    """Compare a result with its gold standard.

    Raises
    ------
    InvalidArgument
        The gold standard has fewer than k neighbours.
    """
    gold = result.gold
    gold.check_k(k)
    hits, ties = found_true(result.ids, gold, k), found_true_or_tied(result.ids, gold, k)
    kinds = [] if gold.kinds is None else sorted(set(gold.kinds.tolist()))
    by_kind = {kind: float(hits[gold.kinds == kind].mean() / k) for kind in kinds}
    said = _Facts(result.facts)
    seconds, qps, notes = said.speed_of_graph(gold.n) if gold.is_graph else said.speed(gold.n)
    memory = said.seconds("peak_memory_bytes")
    n = int(np.count_nonzero(gold.ids[:, 0] >= 0))  # a removed row has no neighbours
    return Run(
        file=result.path,
        algo=said.text("algo"),
        params=said.text("params"),
        data=said.text("data"),
        size=result.facts.get("size"),
        task=said.text("task"),
        dataset=said.text("dataset"),
        queries=_Facts(gold.facts).text("kind") if not by_kind else _only(kinds),
        n=n,
        k=k,
        recall=int(hits.sum()) / (n * k),
        recall_ties=int(ties.sum()) / (n * k),
        qps=qps,
        buildtime=said.seconds("buildtime"),
        querytime=seconds,
        optimtime=said.seconds("optimtime"),
        answered_by=said.text("answered_by"),
        peak_memory_bytes=None if memory is None else int(memory),
        recall_by_kind=by_kind if len(kinds) > 1 else {},
        notes=(*result.notes, *_shortness(result, k), *notes),
    )


def views(runs: Iterable[Run]) -> Iterator[View]:
    """Yield each run once per kind of its queries."""
    for run in runs:
        if run.recall_by_kind:
            yield from (View(run, kind, recall) for kind, recall in run.recall_by_kind.items())
        else:
            yield View(run, run.queries, run.recall)


def _only(kinds: list[str]) -> str:
    return kinds[0] if len(kinds) == 1 else "mixed"


def _shortness(result: Result, k: int) -> list[str]:
    """Describe which of the k neighbours are missing; they count as not found."""
    ids = result.ids[:, :k]
    if ids.shape[1] < k:
        return [
            f"it has {counted(ids.shape[1], 'neighbour')} of each query, the others count as not found"
        ]
    missing = int(np.count_nonzero((ids < 0).any(axis=1)))
    return (
        [f"fewer than {counted(k, 'neighbour')} for {counted(missing, 'query')}"] if missing else []
    )


@dataclass(frozen=True)
class _Facts:
    facts: dict[str, Fact]

    def text(self, name: str) -> str | None:
        value = self.facts.get(name)
        return None if value is None else str(value)

    def speed(self, n: int) -> tuple[float | None, float | None, list[str]]:
        """Return the querytime, the queries per second, and a note if one was computed from qps."""
        seconds, qps = self.seconds("querytime"), self.seconds("qps")
        if seconds:
            from_time = n / seconds
            if qps and not 0.98 < qps / from_time < 1.02:
                note = f"its qps of {qps:,.1f} is not its {counted(n, 'query')} / querytime: querytime counts"
                return seconds, from_time, [note]
            return seconds, from_time, []
        if qps:
            return n / qps, qps, ["it has no querytime: the speed is its qps"]
        return seconds, None, []

    def speed_of_graph(self, n: int) -> tuple[float | None, float | None, list[str]]:
        """Return the querytime, the rows per second of everything, and a note that says so."""
        times = [self.seconds("buildtime"), self.seconds("querytime")]
        if all(one is None for one in times):
            return times[1], None, []
        total = sum(one or 0.0 for one in times)
        note = "a graph: the speed is rows / (buildtime + querytime)"
        return times[1], n / total if total else None, [note]

    def seconds(self, name: str) -> float | None:
        """Return a time in seconds, a speed or a size; None if it is missing or not a number."""
        try:
            value = float(self.facts.get(name, math.nan))
        except ValueError:
            return None
        return value if math.isfinite(value) and value >= 0 else None
