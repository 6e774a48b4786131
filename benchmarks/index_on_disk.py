"""Search with less memory than the vectors take: the index under a real cap, page cache counted.

    python benchmarks/index_on_disk.py COLLECTION QUERIES.npz [--memory-share 0.16] [--queries-of-each 300] [--k 30]
        [--recall 0.8]

`pairdex index COLLECTION --memory …` comes first. One process finds the exact neighbours without a cap and ends;
then the files are dropped from the page cache, and another process searches inside of a memory control group (Linux,
as root) whose limit counts everything: its own memory, the mapped codes, and the pages of vectors that it reads. What
it read from disk is the kernel's own count. Queries come in batches, no query twice; "warm" is the same batch again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import pairdex

GROUP = Path("/sys/fs/cgroup/memory/pairdex-benchmark")  # version 1 of the interface
KINDS = ("image", "text")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--memory-share", type=float, default=0.16, help="of the vectors' bytes")
    parser.add_argument("--queries-of-each", type=int, default=300)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--recall", type=float, default=0.8)
    parser.add_argument("--batches", type=int, default=3, help="each of --queries-of-each")
    parser.add_argument("--step", choices=("truth", "search"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    steps = {None: measure, "truth": find_truth, "search": search}
    print(json.dumps(steps[arguments.step](arguments), indent=None if arguments.step else 2))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    truth = run("truth")
    cap = int(truth["vectors_bytes"] * arguments.memory_share)
    drop(arguments.collection)  # no process has the files mapped any more: all of their pages go
    GROUP.mkdir(exist_ok=True)
    (GROUP / "memory.limit_in_bytes").write_text(str(cap))
    (GROUP / "memory.max_usage_in_bytes").write_text("0")
    report = run("search", GROUP)
    for kind in KINDS:
        found, kth = np.array(report[kind].pop("distances")), np.array(truth.pop(kind))
        report[kind]["recall"] = float(np.mean(found <= kth[:, None] + 1e-9))
    peak = int((GROUP / "memory.max_usage_in_bytes").read_text())
    return {
        **truth,
        "cap_bytes": cap,
        "peak_bytes": peak,
        "peak_share": round(peak / truth["vectors_bytes"], 4),
        **report,
    }


def run(step: str, group: Path | None = None) -> dict[str, Any]:
    """Take a step in a process of its own, inside of a memory control group."""

    def enter() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    command = [sys.executable, __file__, *sys.argv[1:], "--step", step]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, preexec_fn=enter)
    if done.returncode:
        sys.exit(f"the step {step} ended with {done.returncode}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def find_truth(arguments: argparse.Namespace) -> dict[str, Any]:
    opened = pairdex.open(arguments.collection)
    report: dict[str, Any] = {
        "rows": len(opened),
        "dim": opened.dim,
        "vectors_bytes": len(opened) * opened.dim * 2,
        "index_bytes": sum(
            path.stat().st_size for path in (arguments.collection / "indexes/image").iterdir()
        ),
    }
    for kind in KINDS:
        queries = load(arguments, kind)
        found = opened.nearest(queries, arguments.k, exact=True)
        report[kind] = found.distances[:, -1].tolist()
    return report


def search(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run inside of the group: batches as they come, and the last one of each kind once more."""
    started = time.perf_counter()
    opened = pairdex.open(arguments.collection)
    report: dict[str, Any] = {"open_seconds": round(time.perf_counter() - started, 2)}
    for kind in KINDS:
        queries, size = load(arguments, kind), arguments.queries_of_each
        batches, distances, compared = [], [], 0
        for first in range(0, len(queries), size):
            numbers, found = timed(opened, queries[first : first + size], arguments)
            batches.append(numbers)
            distances += found.distances.tolist()
            compared += found.report.rechecked
        warm, _ = timed(opened, queries[-size:], arguments)
        report[kind] = {
            "batches": batches,
            "warm": warm,
            "compared_a_query": round(compared / len(queries), 1),
            "distances": distances,
        }
    return report


def timed(
    opened: pairdex.Collection, queries: np.ndarray, arguments: argparse.Namespace
) -> tuple[dict[str, float], Any]:
    read, faults = read_bytes(), major_faults()
    started = time.perf_counter()
    found = opened.nearest(queries, arguments.k, recall=arguments.recall)
    seconds = time.perf_counter() - started
    if found.report.exact:
        sys.exit("the index was not used")
    numbers = {
        "qps": round(len(queries) / seconds, 1),
        "disk_kilobytes_a_query": round((read_bytes() - read) / len(queries) / 1000, 1),
        "major_faults_a_query": round((major_faults() - faults) / len(queries), 2),
    }
    return numbers, found


def load(arguments: argparse.Namespace, kind: str) -> np.ndarray:
    count = arguments.queries_of_each * arguments.batches
    return np.asarray(np.load(arguments.queries)[kind][:count], np.float32)


def read_bytes() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["read_bytes"])


def major_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def drop(folder: Path) -> None:
    """Drop a collection's files from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
