"""How long projections take beside reading and the matrix products alone, and how much memory.

    python benchmarks/project.py --rows 1000000 --names pca96,hamming [--model FILE] [--runs 3] [--json]

Makes a collection of 768-dimensional rows: mixtures of the 1,024 real vectors in the SISAP organisers'
BinWalk model, and noise. Each projection is made from nothing by the command, in a process of its own. Beside it:
the time to read the vectors in blocks, and NumPy's products of the same shapes alone, on rows that are float32
already: X'X of a block for each row that a PCA is fitted to, X W for each row.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.derived.projections.models import read_model
from pairdex.derived.projections.rotations import DEFAULT_FIT_ROWS
from pairdex.derived.projections.rows import BLOCK_ROWS
from pairdex.files.vectors import open_vectors

MODEL = "binwalk-model-nrefs=1024-permsize=64.jld2"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PART_ROWS, DIM, NOISE = 250_000, 768, 0.012


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--names", default="pca96,hamming")
    parser.add_argument("--model", type=Path, help="for hamming, instead of fitting")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    collection = make_collection(arguments)
    names = arguments.names.split(",")
    report = {
        "rows": arguments.rows,
        "load_before": os.getloadavg()[0],
        "projections": {name: measure(collection, name, arguments) for name in names},
    }
    print(json.dumps(report, indent=None if arguments.json else 2))


def make_collection(arguments: argparse.Namespace) -> Path:
    collection = arguments.cache / f"projected-{arguments.rows}"
    if not collection.exists():
        with tempfile.TemporaryDirectory(dir=make(arguments.cache)) as folder:
            write_parts(Path(folder), arguments.rows, arguments.data)
            command = [sys.executable, "-m", "pairdex", "build", folder, str(collection)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return collection


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_parts(folder: Path, rows: int, data: Path) -> None:
    refs = read_model(data / MODEL)[0].refs
    rng = np.random.default_rng(1)
    for number, first in enumerate(range(0, rows, PART_ROWS)):
        count = min(PART_ROWS, rows - first)
        vectors = np.empty((count, DIM), np.float16)
        for at in range(0, count, 10_000):
            size = min(10_000, count - at)
            weights = rng.dirichlet((1, 1, 1), size).astype(np.float32)
            mixed = np.einsum("ij,ijk->ik", weights, refs[rng.integers(0, len(refs), (size, 3))])
            mixed += rng.standard_normal((size, DIM), np.float32) * np.float32(NOISE)
            vectors[at : at + size] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        np.save(folder / f"img_emb_{number}.npy", vectors)
        table = pa.table({"url": [f"https://example.org/{first + row}" for row in range(count)]})
        pq.write_table(table, folder / f"metadata_{number}.parquet")


def measure(collection: Path, name: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = ["project", str(collection), name, "--json"]
    if arguments.model and name == "hamming":
        command += ["--model", str(arguments.model)]
    runs = []
    for _ in range(arguments.runs):
        shutil.rmtree(collection / "projections" / name, ignore_errors=True)
        runs.append(one_run(command) | limits(collection, name, arguments.rows))
    result = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    result["times_the_limit"] = statistics.median(
        run["seconds"] / (run["read_seconds"] + run["products_seconds"]) for run in runs
    )
    return {key: round(value, 2) for key, value in result.items()}


# Peak memory is read where the process began with its own: one that is started inherits its parent's as a peak.
RUN = """
import atexit, os, re, sys, time
def tell():
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    sys.stderr.write(f"{int(peak) / 1024} {sum(os.times()[:2])}")
atexit.register(tell)
from pairdex.cli import main
main()
"""


def one_run(command: list[str]) -> dict[str, float]:
    program = [sys.executable, "-c", RUN, *command]
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    peak, cpu = map(float, ran.stderr.split())
    return {"seconds": json.loads(ran.stdout)["seconds"], "cpu_seconds": cpu, "peak_mb": peak}


def limits(collection: Path, name: str, rows: int) -> dict[str, float]:
    """Seconds of reading all vectors as often as it takes, and of the products alone."""
    files = [open_vectors(path) for path in sorted((collection / "image").glob("*.npy"))]
    reading = seconds(lambda: [None for file in files for _ in file.blocks(BLOCK_ROWS)])
    rng = np.random.default_rng(2)
    block = rng.standard_normal((BLOCK_ROWS, DIM), np.float32)
    width = 1024 if name == "hamming" else int(name.removeprefix("pca"))
    weights = rng.standard_normal((width, DIM), np.float32)
    square = best(lambda: block.T @ block) / BLOCK_ROWS
    apply = best(lambda: block @ weights.T) / BLOCK_ROWS
    fit_rows = min(rows, DEFAULT_FIT_ROWS) if name == "hamming" else rows
    return {
        "read_seconds": reading * (1 + fit_rows / rows),
        "products_seconds": square * fit_rows + apply * rows,
    }


def best(work: Callable[[], object]) -> float:
    return min(seconds(work) for _ in range(10))


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
