"""How long a build takes beside copying the same files, and how much memory it needs.

    python benchmarks/build.py --rows 1000000 [--cache DIR] [--runs 3] [--json]

Makes one LAION-400M-like part (image vectors, text vectors, metadata) with `clip_like.py`, then
alternates `cp -r` of its files and `pairdex build`, each a process of its own. The target is a build in
at most 2.5 times the copy plus 4 s, in at most 1 GB (peak resident set).
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
import time
from pathlib import Path

DEFAULT_TOOL = Path(__file__).resolve().parents[2] / "shared" / "tools" / "clip_like.py"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tool", type=Path, default=DEFAULT_TOOL, help="clip_like.py")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = make_parts(arguments.tool, arguments.cache, arguments.rows)
    runs = [one_run(parts, arguments.cache) for _ in range(arguments.runs)]
    report(parts, runs, as_json=arguments.json)


def make_parts(tool: Path, cache: Path, rows: int) -> Path:
    parts = cache / f"parts-{rows}"
    if not parts.exists():
        fresh = cache / f"parts-{rows}.making"
        shutil.rmtree(fresh, ignore_errors=True)
        subprocess.run([sys.executable, tool, "--out", fresh, "--rows", str(rows)], check=True)
        fresh.rename(parts)
    return parts


def one_run(parts: Path, cache: Path) -> dict[str, float]:
    copy, collection = cache / "copy", cache / "collection"
    for folder in (copy, collection):
        shutil.rmtree(folder, ignore_errors=True)
    copy_seconds, _ = run(["cp", "-r", str(parts), str(copy)])
    command = [sys.executable, "-m", "pairdex", "build", str(parts), str(collection), "--json"]
    build_seconds, peak_mb = run(command)
    shutil.rmtree(copy)
    shutil.rmtree(collection)
    return {"cp_seconds": copy_seconds, "build_seconds": build_seconds, "build_peak_mb": peak_mb}


def run(command: list[str]) -> tuple[float, float]:
    """Return the seconds of a command and its own peak resident set, in megabytes."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, used.ru_maxrss / 1024


def report(parts: Path, runs: list[dict[str, float]], *, as_json: bool) -> None:
    copy = statistics.median(run["cp_seconds"] for run in runs)
    build = statistics.median(run["build_seconds"] for run in runs)
    result = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "bytes": sum(path.stat().st_size for path in parts.rglob("*") if path.is_file()),
        "cp_seconds": round(copy, 2),
        "build_seconds": round(build, 2),
        "allowed_seconds": round(2.5 * copy + 4, 2),
        "build_peak_mb": round(max(run["build_peak_mb"] for run in runs)),
        "runs": runs,
    }
    if as_json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name}: {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
