"""What a collection of 5.85 billion rows takes: terms measured here, checked on larger sizes, put into arithmetic.

    python benchmarks/scale.py [--parts P100K] [--check C100K C1M] [--check-parts P1M] [--rows 5850000000]
        [--machines 32] [--out FILE.json]

It builds a collection of the parts (100,000 rows of `clip_like.py`, 512 dimensions, drawn if not given), and one of
768 dimensions made of the same rows, and measures both in processor time, because the machine may be shared:
build, codes, index, words of captions; verifying and pushing; searches by the index, certified searches and filters.
From the terms of the first it predicts the searches of four shards of its rows, and, with `--check`, those of the
larger of two collections that have indexes, whose build times are recorded in them; with `--check-parts`, building
these parts. It measures what it predicted, puts the terms of 768 dimensions into arithmetic, and prints the tables of
docs/scale.md. It takes about four minutes of processor time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import scale_model as model
from scale_measure import (
    RECALL,
    K,
    Measured,
    bytes_of,
    drawn,
    exact_seconds,
    index_of,
    measured,
    query_times,
    timing,
    widened,
)
from scale_model import Plan

import pairdex
from pairdex.derived.codes import find_codes
from pairdex.ivf.efforts import OperatingPoints
from pairdex.ivf.search import InvertedIndex
from pairdex.store.sharded import open_store
from pairdex.store.store import Store
from pairdex.work.machine import machine

HERE = Path(__file__).resolve().parent
SHARDS = 4
MEMORY, DISK, NETWORK, CORES = (
    128 << 30,
    2_000_000_000_000,
    10e9 / 8,
    16,
)  # of a machine of the plan
DISK_RATE = 1e9  # bytes a second
FANOUT = (1, 4, 16, 32, 64)
LATE, LATE_SECONDS = 1e-3, 0.05  # assumed


def main() -> None:
    """Measure, print the tables and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=Path)
    parser.add_argument("--check", type=Path, nargs=2, help="two collections with indexes")
    parser.add_argument("--check-parts", type=Path)
    parser.add_argument("--rows", type=int, default=5_850_000_000)
    parser.add_argument("--machines", type=int, default=32)
    parser.add_argument(
        "--tool", type=Path, default=HERE.parent.parent / "shared/tools/clip_like.py"
    )
    parser.add_argument("--scratch", type=Path, help="a folder for what is built")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        folder = Path(scratch)
        parts = given.parts or drawn(folder, given.tool)
        small = measured(parts, folder / "small")
        checks = shard_checks(small, folder)
        if given.check:
            checks += row_checks(small, *given.check)
        if given.check_parts:
            checks.append(build_check(small, given.check_parts, folder / "large"))
        wide = measured(widened(parts, folder / "wide-parts"), folder / "wide")
    plan = Plan(given.rows, given.machines, CORES, MEMORY, DISK, DISK_RATE, NETWORK)
    result = {
        "machine": machine(),
        "version": pairdex.__version__,
        "terms": [asdict(each.terms) for each in (small, wide)],
        "checks": checks,
        "plan": asdict(plan),
        "stages": [asdict(each) for each in model.stages(wide.terms, plan)],
        "p99": tails(wide, plan),
    }
    print_tables(result, wide, plan)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


def check(what: str, predicted: float, found: float, unit: str, factor: float) -> dict[str, Any]:
    """Return one line of a table of checks."""
    return {"what": what, "unit": unit, "predicted": predicted * factor, "measured": found * factor}


def row_checks(small: Measured, one: Path, other: Path) -> list[dict[str, Any]]:
    """Predict the larger of two collections from the terms, and its index from the build of the smaller."""
    terms = small.terms
    name = f"{Store(one).rows:,} to {Store(other).rows:,} rows: "
    (built, _, _), (large, store, (index, points)) = map(opened, (one, other))
    rows, nlist = store.rows, index.file.header.nlist
    effort = points.pick("own", K, RECALL)
    assert effort is not None, "it was built for this recall"
    ratio = model.index_seconds(terms, rows, nlist) / model.index_seconds(
        terms, Store(one).rows, index_of(one)[0].file.header.nlist
    )
    exact, filtered = exact_seconds(store, find_codes(store, "image"))
    steps: dict[str, float] = {}
    with timing(steps, "verify"):
        pairdex.verify(other)
    return [
        check(
            f"{name}building the index, {nlist:,} lists, idle machine", ratio * built, large, "s", 1
        ),
        check(f"{name}verify", terms.verify * bytes_of(other, "**/*"), steps["verify"], "s", 1),
        check(
            f"{name}a query by the index that scans {effort.nprobe} lists",
            model.query_seconds(terms, rows, nlist, effort.nprobe, max(effort.rerank, K)),
            statistics.mean(query_times(index, effort, store)),
            "ms",
            1e3,
        ),
        check(f"{name}a certified query", terms.step("exact", rows), exact, "ms", 1e3),
        check(f"{name}a new filter", terms.step("filtered", rows), filtered, "ms", 1e3),
    ]


def opened(collection: Path) -> tuple[float, Store, tuple[InvertedIndex, OperatingPoints]]:
    """Return the seconds that its index took to build, the store, and the index."""
    found = index_of(collection)
    assert found[1].build_seconds is not None, "it was built in one call"
    return found[1].build_seconds, Store(collection), found


def build_check(small: Measured, parts: Path, folder: Path) -> dict[str, Any]:
    """Predict building parts from the terms."""
    steps: dict[str, float] = {}
    with timing(steps, "build"):
        report = pairdex.build(parts, folder)
    name = f"{small.rows:,} to {report.rows:,} rows: build"
    return check(name, small.terms.step("build", report.rows), steps["build"], "s", 1)


def shard_checks(small: Measured, folder: Path) -> list[dict[str, Any]]:
    """Predict the searches of the same rows in shards."""
    pairdex.shard(small.collection, SHARDS, folder / "sharded")
    pairdex.index(folder / "sharded")
    sharded = open_store(folder / "sharded")
    predicted = found = 0.0
    for shard in sharded.shards:
        index, points = index_of(shard.path)
        effort = points.pick("own", K, RECALL)
        nlist = index.file.header.nlist
        predicted += model.query_seconds(
            small.terms, shard.rows, nlist, effort.nprobe, max(effort.rerank, K)
        )
        found += statistics.mean(query_times(index, effort, shard))
    codes = pairdex.open(folder / "sharded").finder.searcher.codes("image")
    exact, _ = exact_seconds(sharded, codes)
    return [
        check(f"1 to {SHARDS} shards: one query by the indexes", predicted, found, "ms", 1e3),
        check(
            f"1 to {SHARDS} shards: one certified query",
            small.terms.step("exact", small.rows),
            exact,
            "ms",
            1e3,
        ),
    ]


def tails(wide: Measured, plan: Plan) -> list[dict[str, float]]:
    """Simulate the latency of queries that all shards answer, at two loads, and with late answers.

    The measured times are scaled to the mean that is predicted of a shard.
    """
    factor = shard_query(wide, plan, wide.effort.nprobe) / statistics.mean(wide.times)
    times = [factor * each for each in wide.times]
    rows = []
    for shards in FANOUT:
        row: dict[str, float] = {"shards": shards}
        for name, load, late in (("30 %", 0.3, 0.0), ("70 %", 0.7, 0.0), ("late", 0.3, LATE)):
            p50, p99 = model.simulate(
                times,
                shards,
                load,
                cores=CORES,
                queries=20_000,
                late=late,
                late_seconds=LATE_SECONDS,
            )
            row |= {f"p50 {name}": p50 * 1e3, f"p99 {name}": p99 * 1e3}
        rows.append(row)
    return rows


def shard_query(wide: Measured, plan: Plan, nprobe: int) -> float:
    """Return the predicted processor time of one query on one shard of the plan."""
    chosen = model.choose(plan.shard_rows, wide.terms.dim, size=plan.size)
    return model.query_seconds(wide.terms, plan.shard_rows, chosen.nlist, nprobe, 10 * K)


def say_row(*cells: object) -> None:
    """Print a row of a table, or an empty line."""
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n" if cells else "\n")


def figure(value: float) -> str:
    """Return a number with at least four digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def print_tables(result: dict[str, Any], wide: Measured, plan: Plan) -> None:
    """Print the tables of docs/scale.md."""
    say_row("term", *(f"{each['dim']} dimensions" for each in result["terms"]))
    say_row(*["---"] * 3)
    for name in [name for name in result["terms"][0] if name not in ("dim", "starts")]:
        factor, unit = (1, "bytes") if name.endswith("bytes") else (1e9, "ns")
        say_row(f"{name}, {unit}", *(figure(each[name] * factor) for each in result["terms"]))
    for name in result["terms"][0]["starts"]:
        say_row(f"{name}, once, s", *(f"{each['starts'][name]:.3f}" for each in result["terms"]))
    say_row()
    say_row("check", "predicted", "measured", "ratio")
    say_row(*["---"] * 4)
    for one in result["checks"]:
        unit, ratio = one["unit"], one["predicted"] / one["measured"]
        say_row(
            one["what"],
            f"{one['predicted']:.3g} {unit}",
            f"{one['measured']:.3g} {unit}",
            f"{ratio:.2f}",
        )
    say_row()
    say_row("stage", "TB read", "TB written", "TB moved", "core hours", "hours")
    say_row(*["---"] * 6)
    for stage in model.stages(wide.terms, plan):
        terabytes = (stage.read_bytes, stage.written_bytes, stage.moved_bytes)
        hours = stage.core_seconds / 3600
        say_row(
            stage.name,
            *(f"{each / 1e12:.2f}" for each in terabytes),
            f"{hours:,.1f}",
            f"{stage.hours(plan):.1f}",
        )
    print_query(wide, plan)
    say_row()
    say_row("shards", *list(result["p99"][0])[1:])
    say_row(*["---"] * 7)
    for row in result["p99"]:
        say_row(
            int(row["shards"]), *(f"{value:.2f}" for name, value in row.items() if name != "shards")
        )


def print_query(wide: Measured, plan: Plan) -> None:
    """Print what one machine holds and what a query costs there, for several numbers of lists scanned."""
    rows, terms = plan.shard_rows, wide.terms
    chosen = model.choose(rows, terms.dim, size=plan.size)
    say_row()
    say_row("a shard", "")
    say_row("---", "---")
    say_row("rows, lists", f"{rows:,}, {chosen.nlist:,}")
    say_row(
        "index of one kind in memory",
        f"{model.index_bytes(rows, terms.dim, plan.size) / 2**30:.1f} GiB",
    )
    say_row("vectors of one kind on disk", f"{model.VECTOR_BYTES * terms.dim * rows / 1e9:,.0f} GB")
    for nprobe in (wide.effort.nprobe, 4 * wide.effort.nprobe):
        one = shard_query(wide, plan, nprobe)
        many = plan.machines * one
        say_row(
            f"a query that scans {nprobe} lists",
            f"{one * 1e3:.2f} ms a shard, {many * 1e3:.0f} ms of all cores",
        )
        say_row("queries a second at 70 % load", f"{0.7 * plan.cores / one:,.0f}")
    say_row("a certified query", f"{terms.exact * rows:.1f} s of a core a shard")
    say_row(
        "a new filter",
        f"{terms.filtered * rows:.1f} s of a core a shard, {rows / 1e6:.0f} MB its mask",
    )


if __name__ == "__main__":
    main()
