"""Loading a collection into embedded ClickHouse: rows a second, peak memory, resuming; then its index.

    python benchmarks/clickhouse.py COLLECTION [--runs 3] [--index SPEC] [--cache DIR] [--json]

Each load is a process of its own into a new database. The mark is 30 times the 1,643 rows/s of the way
over CSV, in at most 1 GB (peak resident set). With --index it builds the indexes too and compares the
searches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TUTORIAL_ROWS_PER_SECOND = 1_643


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--index")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    database = arguments.cache / "clickhouse"
    found: dict[str, object] = {"processor": platform.processor() or platform.machine()}
    for dtype in ("float32", "bfloat16"):
        loads = []
        for _ in range(arguments.runs):
            shutil.rmtree(database, ignore_errors=True)
            loads.append(pairdex("load", arguments.collection, database, "--dtype", dtype))
        speed = statistics.median(load["rows_per_second"] for load in loads)
        found[dtype] = {
            "rows": loads[0]["rows"],
            "rows_per_second": round(speed),
            "times_the_tutorial": round(speed / TUTORIAL_ROWS_PER_SECOND, 1),
            "peak_bytes": max(load["peak_bytes"] for load in loads),
        }
        found[f"{dtype}, again"] = pairdex(
            "load", arguments.collection, database, "--dtype", dtype
        )["seconds"]
    if arguments.index:
        options = ("--dtype", "bfloat16", "--index", arguments.index)
        found["indexes"] = pairdex("load", arguments.collection, database, *options)["indexes"]
        found["report"] = pairdex("report", arguments.collection, database)["runs"]
    shutil.rmtree(database)
    show(found, as_json=arguments.json)


def pairdex(command: str, collection: Path, database: Path, *options: str) -> dict[str, object]:
    """Run a command in a process of its own and return what it says, with its peak memory."""
    arguments = [sys.executable, "-m", "pairdex", "clickhouse", command, str(collection)]
    arguments += ["--path", str(database), "--json", *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(said) | {"peak_bytes": usage.ru_maxrss * 1024}


def show(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
