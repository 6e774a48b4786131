"""Search with less memory than the vectors take: the index under a real cap, page cache counted.

    python benchmarks/index_on_disk.py COLLECTION QUERIES.npz [--memory-share 0.16] [--queries 300] [--k 30]
        [--recall 0.8]

`pairdex index COLLECTION --memory …` comes first. The exact neighbours are found without a cap; then the files
are dropped from the page cache and another process searches inside of a memory control group (Linux, as root)
whose limit counts everything: its own memory, the mapped codes, and the pages of vectors that it reads. What it
read from disk is the kernel's own count.
"""

from __future__ import annotations

import argparse
import json
import os
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
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(search(arguments)))
    else:
        print(json.dumps(measure(arguments), indent=2))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    opened = pairdex.open(arguments.collection, use_codes=False)
    vectors_bytes = len(opened.vectors("image")) * opened.dim * 2
    gold = {}
    for kind in KINDS:
        queries = load(arguments, kind)
        gold[kind] = opened.neighbours(queries, arguments.k, exact=True).distances[:, -1]
    cap = int(vectors_bytes * arguments.memory_share)
    drop(arguments.collection)
    GROUP.mkdir(exist_ok=True)
    (GROUP / "memory.limit_in_bytes").write_text(str(cap))
    (GROUP / "memory.max_usage_in_bytes").write_text("0")
    command = [sys.executable, __file__, *sys.argv[1:], "--inside"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: (GROUP / "cgroup.procs").write_text(str(os.getpid())),
    )
    report = json.loads(done.stdout)
    for kind in KINDS:
        found = np.array(report[kind].pop("distances"))
        report[kind]["recall"] = float(np.mean(found <= gold[kind][:, None] + 1e-9))
    peak = int((GROUP / "memory.max_usage_in_bytes").read_text())
    return {
        "rows": len(opened),
        "dim": opened.dim,
        "vectors_bytes": vectors_bytes,
        "cap_bytes": cap,
        "peak_bytes": peak,
        "peak_share": peak / vectors_bytes,
        **report,
    }


def search(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run inside of the group: all queries of a kind at once, first as they come, then once more."""
    opened = pairdex.open(arguments.collection)
    report = {}
    for kind in KINDS:
        queries = load(arguments, kind)
        runs = []
        for _ in range(2):
            read, started = read_bytes(), time.perf_counter()
            found = opened.neighbours(queries, arguments.k, recall=arguments.recall)
            seconds = time.perf_counter() - started
            runs.append(
                {
                    "qps": len(queries) / seconds,
                    "disk_bytes_a_query": (read_bytes() - read) / len(queries),
                }
            )
        assert not found.report.exact, "the index was not used"
        report[kind] = {
            "first": runs[0],
            "again": runs[1],
            "compared_a_query": found.report.rechecked / len(queries),
            "scanned_a_query": found.report.scanned / len(queries),
            "distances": found.distances.tolist(),
        }
    return report


def load(arguments: argparse.Namespace, kind: str) -> np.ndarray:
    return np.load(arguments.queries)[kind][: arguments.queries_of_each].astype(np.float32)


def read_bytes() -> int:
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["read_bytes"])


def drop(folder: Path) -> None:
    """Drop a collection's files from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
