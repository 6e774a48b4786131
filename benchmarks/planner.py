"""What the planner's choice loses against the best way in hindsight.

    python benchmarks/planner.py [--quick] [--rows 5000,20000,100000,300000,1000000] [--cache DIR]
        [--runs 3] [--out FILE.json]

For each number of rows it builds a collection of `clip_like.py`'s vectors with an index, and searches by
image and by text; one query at a time and many at once; through filters that keep 100 to .01 % of the rows
at random; for recalls from .8 to .99. In each cell, every possible way is forced and timed by turns with
the others, in the way users reach it (`Collection.nearest`). The loss is the time of the way that the
planner takes, divided by that of the fastest.

Target: a loss of at most 1.1 in 95 % of the cells, and never more than 1.5. `--quick`: 20,000 rows, fewer
cells, in about a minute. Each line shows the measured and (in brackets) the expected µs a query. Times are medians; on a busy machine they are noise.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from index_sets import KINDS, draw_like_clip
from numpy.typing import NDArray

import pairdex
from pairdex.search import searcher as searching
from pairdex.search.planner import decide
from pairdex.work.machine import machine

HERE = Path(__file__).resolve().parent
SHARES = (1.0, 0.5, 0.1, 0.03, 0.01, 0.001, 0.0001)
RECALLS = (0.8, 0.9, 0.95, 0.97, 0.99)
MANY = 500
SINGLES = 16  # single queries of a cell, one after the other
K = 10
GOOD, WORST, ENOUGH = 1.1, 1.5, 0.95
LEAST_SECONDS = 0.02  # a turn repeats a way until it has run as long


@dataclass(frozen=True)
class Case:
    """What is searched for, where."""

    rows: int
    kind: str
    queries: int
    share: float
    recall: float

    @property
    def where(self) -> str | None:
        """The filter that keeps the share of the rows."""
        return None if self.share == 1 else f"chance < {max(1, round(self.share * self.rows))}"


@dataclass(frozen=True)
class Cell:
    """A case, the expected and the measured time of each possible way in µs a query, and the choice."""

    case: Case
    expected: dict[str, float]
    measured: dict[str, float]
    taken: str

    @property
    def loss(self) -> float:
        """How many times as long as the fastest way the choice takes."""
        return self.measured[self.taken] / min(self.measured.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="5000,20000,100000,300000,1000000")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--out", type=Path, help="write all cells to this file (JSON)")
    asked = parser.parse_args()
    rows = [20_000] if asked.quick else [int(each) for each in asked.rows.split(",")]
    shares = SHARES[::3] if asked.quick else SHARES
    recalls = RECALLS[::2] if asked.quick else RECALLS
    cells = []
    for count in rows:
        folder = make_collection(asked.cache, asked.shared, count)
        for cell in measured_cells(folder, shares, recalls, asked.runs):
            cells.append(cell)
            print_cell(cell)
    summary = summed_up(cells)
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")
    if asked.out is not None:
        content = {**summary, "cells": [asdict(cell) | {"loss": cell.loss} for cell in cells]}
        asked.out.write_text(json.dumps(content, indent=1))


def make_collection(cache: Path, shared: Path, rows: int) -> Path:
    """Return a collection with a column of chances, and held-out queries beside it; made once."""
    folder = cache / f"planner-{rows}"
    if not (folder / "c" / "indexes" / "image" / "codes").exists():
        folder.mkdir(parents=True, exist_ok=True)
        draw_like_clip(folder, shared / "tools" / "clip_like.py", rows, 1000)
        (folder / "parts/metadata").mkdir(exist_ok=True)
        chances = np.random.default_rng(0).permutation(rows)
        urls = [f"https://example.org/{number}" for number in range(rows)]
        table = pa.table({"url": urls, "caption": urls, "chance": chances})
        pq.write_table(table, folder / "parts/metadata/metadata_0.parquet")
        pairdex.build(folder / "parts", folder / "c")
        pairdex.open(folder / "c").prepare()
    pairdex.index(folder / "c")
    return folder


def measured_cells(
    folder: Path, shares: tuple[float, ...], recalls: tuple[float, ...], runs: int
) -> Iterator[Cell]:
    collection = pairdex.open(folder / "c")
    queries = {
        kind: vectors.astype(np.float32)
        for kind, vectors in np.load(folder / "queries.npz").items()
    }
    collection.prepare(exact=True)
    for kind, count, share, recall in product(KINDS, (1, MANY), shares, recalls):
        case = Case(len(collection), kind, count, share, recall)
        search = partial(collection.nearest, k=K, where=case.where, recall=recall)
        yield measured(search, queries[kind], case, runs)


def measured(
    search: Callable[..., Any], queries: NDArray[np.float32], case: Case, runs: int
) -> Cell:
    """Time every possible way by turns."""
    singles = [queries[number : number + 1] for number in range(SINGLES)]
    batches = singles if case.queries == 1 else [queries[:MANY]]
    choices = search(batches[0]).report.answered.choices
    choice = max(
        choices, key=lambda one: len(one.positions)
    )  # a few may lie beyond the gap's middle
    expected = {way.name: way.microseconds for way in choice.ways if way.why_not is None}
    times: dict[str, list[float]] = {name: [] for name in expected}
    for turn in range(runs + 1):
        for name, spent in times.items():
            searching.decide = forced(name)
            try:
                seconds = timed(search, batches)
            finally:
                searching.decide = decide
            if turn:  # the first only warms up
                spent.append(seconds)
    medians = {name: statistics.median(some) * 1e6 / case.queries for name, some in times.items()}
    return Cell(case, expected, medians, choice.taken)


def timed(search: Callable[..., Any], batches: list[NDArray[np.float32]]) -> float:
    """Return the seconds of one batch."""
    done, started = 0, time.perf_counter()
    while True:
        for batch in batches:
            search(batch)
        done += len(batches)
        spent = time.perf_counter() - started
        if spent >= LEAST_SECONDS:
            return spent / done


def forced(name: str) -> Callable[..., Any]:
    """Return a decision that takes a way wherever it is possible."""

    def decision(
        kind: Any,  # noqa: ANN401
        positions: Any,  # noqa: ANN401
        points: Any,  # noqa: ANN401
        costs: Any,  # noqa: ANN401
        situation: Any,  # noqa: ANN401
        *,
        graph: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        choice, effort = decide(kind, positions, points, costs, situation, graph=graph)
        possible = {way.name for way in choice.ways if way.why_not is None}
        if name not in possible:
            return choice, effort
        if name == "ivf":
            effort = points.pick(kind, situation.k, situation.recall)
        if name == "graph":
            effort = graph.pick(situation.k, situation.recall)
        choice = type(choice)(choice.kind, name, "it is forced", choice.ways, positions)
        return choice, effort if name in {"graph", "ivf"} else None

    return decision


def print_cell(cell: Cell) -> None:
    case = cell.case
    ways = "  ".join(
        f"{name} {cell.measured[name]:,.0f} ({cell.expected[name]:,.0f})" for name in cell.measured
    )
    sys.stdout.write(
        f"{case.rows:>9,} {case.kind:<5} x{case.queries:<3} {case.share:>7.2%} {case.recall:<4} "
        f"{cell.taken:<5} loss {cell.loss:5.2f}   {ways}\n"
    )
    sys.stdout.flush()


def summed_up(cells: list[Cell]) -> dict[str, Any]:
    losses = sorted(cell.loss for cell in cells)
    good = sum(loss <= GOOD for loss in losses) / len(losses)
    return {
        "machine": machine(),
        "version": pairdex.__version__,
        "cells": len(cells),
        "within_10_percent": round(good, 4),
        "worst_loss": round(losses[-1], 3),
        "mean_loss": round(statistics.mean(losses), 4),
        "target_reached": good >= ENOUGH and losses[-1] <= WORST,
    }


if __name__ == "__main__":
    main()
