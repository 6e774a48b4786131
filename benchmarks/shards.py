"""What certified search over shards in one process costs, compared with one collection of the same rows.

    python benchmarks/shards.py [--rows 400000] [--shards 4] [--runs 5] [--cache DIR] [--out FILE.json]

It builds a collection of `clip_like.py`'s vectors in as many parts as shards, divides it, and times
`Collection.nearest(exact=True)` on both by turns: one query at a time and many at once, by image and by
text, with and without a filter, for 10 and 100 neighbours. The answers are compared. Times are medians of
the runs; on a busy machine they are noise.

Target: at most 1.1 times the time of one collection. Small collections miss it, because a call of each
shard has a fixed cost.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from index_sets import KINDS, draw_like_clip
from numpy.typing import NDArray

import pairdex
from pairdex.work.machine import machine

HERE = Path(__file__).resolve().parent
SINGLES = 16  # queries of a cell, one after the other
MANY = 200
LEAST_SECONDS = 0.05  # a turn repeats its searches until it has run as long
FILTERS = (None, "chance < 50")
TARGET = 1.1


def main() -> None:
    """Measure, print a line for each cell, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.cache or Path(scratch)) / f"shards-{given.rows}-{given.shards}"
        make_collections(folder, given.shared, given.rows, given.shards)
        cells = measured(folder, given.runs)
    result = {
        "machine": machine(),
        "version": pairdex.__version__,
        "rows": given.rows,
        "shards": given.shards,
        "median": statistics.median(cell["ratio"] for cell in cells),
        "worst": max(cell["ratio"] for cell in cells),
        "target": TARGET,
        "cells": cells,
    }
    summary = {key: value for key, value in result.items() if key != "cells"}
    sys.stdout.write(json.dumps(summary) + "\n")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def make_collections(folder: Path, shared: Path, rows: int, shards: int) -> None:
    """Build the collection and its shards unless they exist."""
    if (folder / "sharded").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    draw_like_clip(folder, shared / "tools" / "clip_like.py", rows, 1000)
    parts = folder / "split"
    parts.mkdir(exist_ok=True)
    cuts = np.linspace(0, rows, shards + 1).astype(int)
    for name in ("img_emb", "text_emb"):
        vectors = np.load(folder / "parts" / name / f"{name}_0.npy", mmap_mode="r")
        for number, (first, stop) in enumerate(pairwise(cuts)):
            np.save(parts / f"{name}_{number}.npy", vectors[first:stop])
    rng = np.random.default_rng(0)
    for number, count in enumerate(np.diff(cuts).tolist()):
        table = pa.table({"caption": [""] * count, "chance": rng.integers(0, 100, count)})
        pq.write_table(table, parts / f"metadata_{number}.parquet")
    pairdex.build(parts, folder / "c")
    pairdex.shard(folder / "c", shards, folder / "sharded")


def measured(folder: Path, runs: int) -> list[dict[str, Any]]:
    """Time both by turns in every cell."""
    both = [pairdex.open(folder / name) for name in ("c", "sharded")]
    for collection in both:
        collection.prepare()
    queries = np.load(folder / "queries.npz")
    cells = []
    for kind, count, k, where in product(KINDS, (1, MANY), (10, 100), FILTERS):
        asked = queries[kind].astype(np.float32)
        batches = [asked[n : n + 1] for n in range(SINGLES)] if count == 1 else [asked[:MANY]]
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(runs + 1):
            for collection, spent in zip(both, times, strict=True):
                seconds = timed(collection, batches, k, where)
                if turn:  # the first only warms up
                    spent.append(seconds)
        compare(both, batches[0], k, where)
        one, sharded = (statistics.median(some) * 1e3 / count for some in times)
        cells.append(
            {
                "by": kind,
                "queries": count,
                "k": k,
                "where": where,
                "ms": one,
                "ms_sharded": sharded,
                "ratio": sharded / one,
            }
        )
        sys.stdout.write(
            f"{kind:<5} x{count:<3} k {k:<3} {where or '':<11} {one:8.3f} ms a query, sharded "
            f"{sharded:8.3f}: {sharded / one:5.2f}\n"
        )
        sys.stdout.flush()
    return cells


def timed(
    collection: pairdex.Collection, batches: list[NDArray[np.float32]], k: int, where: str | None
) -> float:
    """Return the seconds of one batch."""
    done, started = 0, time.perf_counter()
    while True:
        for batch in batches:
            collection.nearest(batch, k, where=where, exact=True)
        done += len(batches)
        spent = time.perf_counter() - started
        if spent >= LEAST_SECONDS:
            return spent / done


def compare(
    both: list[pairdex.Collection], queries: NDArray[np.float32], k: int, where: str | None
) -> None:
    """Stop unless both give the same certified answer."""
    one, other = (c.nearest(queries, k, where=where, exact=True) for c in both)
    same = np.array_equal(one.ids, other.ids) and np.array_equal(one.distances, other.distances)
    if not (same and other.report.certified):
        raise SystemExit("the shards gave another answer than the collection")


if __name__ == "__main__":
    main()
