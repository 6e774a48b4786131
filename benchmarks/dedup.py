"""What joins cost: near-duplicates, all pairs and the k-NN graph, in processor seconds, by number of rows.

    python benchmarks/dedup.py [--rows 250000,1000000] [--within 0.06] [--vectors FILE.npy] [--cache DIR]
        [--graph] [--only WORK] [--json]

Makes LAION-like parts with `clip_like.py`, or takes float16 vectors from a file, and runs each size in a
process of its own: `dedup` decides about all rows (without writing the new collection), `pairs` finds all
pairs. `steps` divides dedup's processor time: `reading` finds copies, `coding` makes the codes, and `comparing` also
sorts them by lists. Reported are user and system time of all threads together, seconds, peak memory and, for several
sizes, the exponent of the growth of processor time. Other work on the machine changes both; compare within
a run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from index_sets import make_parts
from processor_time import processor_seconds

from pairdex.curate.decisions import COPY, KEPT, Decisions
from pairdex.curate.near_duplicates import decide
from pairdex.join.code_map import GRAPH_BOX
from pairdex.join.coded_rows import CodedRows, open_or_code_rows
from pairdex.join.near_pairs import Join
from pairdex.join.neighbour_graph import build_graph, graph_lists
from pairdex.knn.cosine import nearest
from pairdex.store.vectors_view import VectorsView
from pairdex.work.processors import usable_processors

HERE = Path(__file__).resolve().parent
GRAPH_RECALLS = (0.95, 0.985)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--rows", default="250000,1000000")
    parser.add_argument("--within", type=float, default=0.06)
    parser.add_argument("--vectors", type=Path, help="float16 rows (n, dim) instead of made ones")
    parser.add_argument("--graph", action="store_true", help="the k-NN graph, too")
    parser.add_argument("--only", choices=["dedup", "pairs"], help="this work alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return
    sizes = [int(size) for size in arguments.rows.split(",")]
    works = ["dedup", "pairs", *(f"graph {recall}" for recall in GRAPH_RECALLS if arguments.graph)]
    works = [arguments.only] if arguments.only else works
    report: dict[str, Any] = {"load_before": os.getloadavg()[0], "within": arguments.within}
    for work in works:
        runs = [run(work, size, arguments) for size in sizes]
        report[work] = {"runs": runs, "exponent": exponent(runs)}
    print(json.dumps(report, indent=None if arguments.json else 2))


def run(work: str, rows: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one work on so many rows, in a process of its own."""
    command = [sys.executable, __file__, "--one", work, "--rows", str(rows)]
    command += ["--within", str(arguments.within), "--data", str(arguments.data)]
    command += ["--cache", str(arguments.cache)]
    if arguments.vectors:
        command += ["--vectors", str(arguments.vectors)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def exponent(runs: list[dict[str, Any]]) -> float | None:
    """Return e of processor time ~ rows^e between the smallest and the largest size."""
    first, last = runs[0], runs[-1]
    if first["rows"] == last["rows"]:
        return None
    growth = math.log(last["processor_seconds"] / first["processor_seconds"])
    return round(growth / math.log(last["rows"] / first["rows"]), 2)


def measure(work: str, arguments: argparse.Namespace) -> dict[str, Any]:
    blocks = vectors(int(arguments.rows), arguments)
    rows = sum(map(len, blocks))
    tasks: dict[str, Callable[[Any, Path], dict[str, Any]]] = {
        "dedup": lambda blocks, folder: dedup(blocks, folder, arguments.within),
        "pairs": lambda blocks, folder: pairs(blocks, folder, arguments.within),
        **{
            f"graph {recall}": lambda blocks, folder, recall=recall: graph(blocks, folder, recall)
            for recall in GRAPH_RECALLS
        },
    }
    with tempfile.TemporaryDirectory(dir=arguments.cache) as folder:
        before, started = processor_seconds(), time.perf_counter()
        found = tasks[work](blocks, Path(folder))
        return {
            "rows": rows,
            "processor_seconds": round(processor_seconds() - before, 2),
            "seconds": round(time.perf_counter() - started, 2),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            **found,
        }


def vectors(rows: int, arguments: argparse.Namespace) -> list[np.ndarray]:
    if arguments.vectors:
        return [np.load(arguments.vectors, mmap_mode="r")[:rows]]
    parts = make_parts(arguments.cache, arguments.data, rows)
    return [np.load(parts / "img_emb" / "img_emb_0.npy", mmap_mode="r")]


def dedup(blocks: list[np.ndarray], folder: Path, within: float) -> dict[str, Any]:

    view = VectorsView(blocks, blocks[0].shape[1])
    decisions = Decisions(folder / "decisions", len(view), {})
    steps = Steps()
    decide(view, range(len(view)), decisions, threshold=within, progress=steps)
    kept, copies = (int(np.count_nonzero(decisions.state == state)) for state in (KEPT, COPY))
    return {"kept": kept, "copies": copies, "steps": steps.seconds()}


class Steps:
    """Processor time of each step; what follows the last report of a step counts for the next one."""

    def __init__(self) -> None:
        self._before, self._ends = processor_seconds(), {}

    def __call__(self, step: str, *_: int) -> None:
        """Note how much was used until now."""
        self._ends[step] = processor_seconds()

    def seconds(self) -> dict[str, float]:
        """Return what each step used, in the order of the steps."""
        ends = [self._before, *self._ends.values()]
        return {
            step: round(end - start, 2)
            for step, start, end in zip(self._ends, ends, ends[1:], strict=False)
        }


def pairs(blocks: list[np.ndarray], folder: Path, within: float) -> dict[str, Any]:

    join = Join(code(blocks, folder), within, threads=usable_processors())
    slots = join.all_slots()
    count = 0
    for part in join.rectangles(slots):
        count += sum(len(found.x) for found in join.pairs(slots, None, part))
    possible = len(slots) * (len(slots) - 1) / 2
    stages = ("small", "large", "float32", "float64")
    shares = zip(stages, join.rows.native.counts(), strict=True)
    return {"pairs": count, "share": {stage: round(n / possible, 7) for stage, n in shares}}


def graph(blocks: list[np.ndarray], folder: Path, recall: float) -> dict[str, Any]:

    n = sum(map(len, blocks))
    rows = code(blocks, folder, lists=graph_lists(n), box=GRAPH_BOX)
    sample = np.sort(np.random.default_rng(0).choice(n, 500, replace=False))
    queries = np.concatenate(blocks)[rows.ids[sample]].astype(np.float32)
    truth = nearest(blocks, queries, 16).distances  # the row itself is the first
    made = build_graph(
        rows,
        15,
        folder,
        recall=recall,
        measure=lambda table: float(np.mean(table.neighbours(sample)[1] <= truth[:, -1:] + 1e-6)),
        threads=usable_processors(),
    )
    return {"recall": round(made.recall, 4), "passes": made.passes}


def code(blocks: list[np.ndarray], folder: Path, **options: float) -> CodedRows:

    ids = np.arange(sum(map(len, blocks)))
    threads = usable_processors()
    return open_or_code_rows(blocks, ids, None, folder, plan={}, threads=threads, **options)


if __name__ == "__main__":
    main()
