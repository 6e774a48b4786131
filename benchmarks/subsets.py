"""How much memory and time building from a SISAP bundle and making subsets need, at several sizes.

    python benchmarks/subsets.py --rows 100000,2000000 [--cache DIR] [--runs 3] [--json]

Makes bundles of 768 dimensions with a TSV (random directions and LAION-like lines, repeated), and runs
`pairdex build` and `pairdex subset` on them, each a process of its own whose peak resident set is taken,
beside a copy of the collection. Memory is to be the same at every size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

DIM, DRAWN = 768, 50_000
SUBSETS = {
    "subset, all rows": [],
    "subset --where, half": ["--where", "id % 2 = 0"],
    "subset --sample, a tenth": ["--sample-tenth"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="100000,2000000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for rows in map(int, given.rows.split(",")):
        folder = given.cache / f"bundle-{rows}"
        maker = multiprocessing.get_context("spawn").Process(
            target=make_bundle, args=(folder, rows)
        )
        maker.start()  # elsewhere, since a child's peak memory begins with its parent's
        maker.join()
        result = measure(folder, rows, given.runs)
        shutil.rmtree(folder)
        if given.json:
            print(json.dumps({"rows": rows, "steps": result}), flush=True)
            continue
        print(f"{rows:,} rows")
        for step, (seconds, megabytes) in result.items():
            print(f"  {step:<26} {seconds:7.2f} s {megabytes:6.0f} MB", flush=True)


def make_bundle(folder: Path, rows: int) -> None:
    """Write the vectors and the lines block by block, the same block again and again."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(1).standard_normal((DRAWN, DIM), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    block = drawn.astype(np.float16)
    with (
        h5py.File(folder / "laion2B-en-clip768v2-n=10M.h5", "w") as file,
        (folder / "meta-10M.tsv").open("w", encoding="utf-8") as lines,
    ):
        data = file.create_dataset("emb", (rows, DIM), np.float16)
        lines.write("caption\tNSFW\tLICENSE\turl\n")
        for first in range(0, rows, DRAWN):
            count = min(DRAWN, rows - first)
            data[first : first + count] = block[:count]
            lines.writelines(line(row) for row in range(first, first + count))


def line(row: int) -> str:
    caption = "a photo of some thing, as people describe it on the web, " * (row % 3 + 1)
    caption = f'"{caption}""{row}"""' if row % 7 == 0 else f"{caption}{row}"
    return f"{caption}\tUNLIKELY\t\thttps://images.example.org/{row:012d}/picture-{row}.jpg\n"


def measure(folder: Path, rows: int, runs: int) -> dict[str, tuple[float, float]]:
    """Return the median time in seconds and the peak memory in megabytes of each step."""
    program = [sys.executable, "-m", "pairdex"]
    made, new, copy = folder / "collection", folder / "new", folder / "copy"
    steps = {"build from the bundle": ([*program, "build", folder, made, "--json"], made)}
    for name, options in SUBSETS.items():
        drawn = ["--sample", rows // 10] if options == ["--sample-tenth"] else options
        steps[name] = ([*program, "subset", made, new, *drawn, "--json"], new)
    durably = f"cp -r '{made}' '{copy}' && sync -f '{copy}'"  # as what pairdex writes is
    steps["cp -r and sync"] = (["sh", "-c", durably], copy)
    result = {}
    for name, (command, target) in steps.items():
        taken = []
        for _ in range(runs):
            shutil.rmtree(target, ignore_errors=True)
            taken.append(run(command))
        seconds, megabytes = zip(*taken, strict=True)
        result[name] = (statistics.median(seconds), max(megabytes))
    return result


def run(command: list[object]) -> tuple[float, float]:
    started = time.perf_counter()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return time.perf_counter() - started, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
