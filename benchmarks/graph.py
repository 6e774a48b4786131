"""The graph of nearest rows: `pairdex graph` from a collection on disk to the file, and other libraries.

    python benchmarks/graph.py [--rows 1000000] [--recalls 0.95,0.985] [--exact] [--peers peers/bin/python] [--json]

Makes LAION-like parts with `clip_like.py` and a collection of them, once. Each run is a process of its own
and includes everything, reading and writing too. Reported are processor time of all threads, seconds, memory
without mapped files in bytes per row, and the recall of 1,000 rows drawn at random (rows as near as the true
15th count as found), measured apart from the command's own sample. `--exact` adds the exact graph, and the time
of NumPy's float32 product alone: that of 2,048 rows with all rows, times the number of rows. `--peers` adds the
libraries of `graph_peers.py`, run by that interpreter on the same rows; their float32 copy of the rows is not
counted. Other work on the machine changes all of it; compare within a run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from graph_peers import PEERS
from index_sets import make_parts
from numpy.typing import NDArray
from processor_time import processor_seconds

import pairdex
from pairdex.knn.cosine import nearest

HERE = Path(__file__).resolve().parent
K = 15
SAMPLE = 1_000
PRODUCT_ROWS = 2_048
IMAGES = "img_emb/img_emb_0.npy"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--recalls", default="0.95,0.985")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--peers", type=Path, help="an interpreter that has faiss and pynndescent")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given)))
        return
    make_collection(given)
    report: dict[str, Any] = {"load_before": os.getloadavg()[0], "rows": given.rows, "k": K}
    works = [
        *filter(None, given.recalls.split(",")),
        *(["exact", "product"] if given.exact else []),
    ]
    report["pairdex"] = [run_apart(work, given) for work in works]
    if given.peers:
        report["peers"] = [run_peer(name, given) for name in PEERS]
    print(json.dumps(report, indent=None if given.json else 2))


def parts_of(given: argparse.Namespace) -> Path:
    return make_parts(given.cache, given.data, given.rows)


def collection_of(given: argparse.Namespace) -> Path:
    return given.cache / f"graph-{given.rows}"


def make_collection(given: argparse.Namespace) -> None:
    pairdex.build(parts_of(given), collection_of(given))


def run_apart(work: str, given: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", work, "--rows", str(given.rows)]
    command += ["--cache", str(given.cache)]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def measure(work: str, given: argparse.Namespace) -> dict[str, Any]:
    if work == "product":
        return measure_product(np.load(parts_of(given) / IMAGES, mmap_mode="r"))
    collection = collection_of(given)
    with tempfile.TemporaryDirectory(dir=given.cache) as folder:
        out = Path(folder) / "graph.h5"
        options: dict[str, Any] = {"exact": True} if work == "exact" else {"recall": float(work)}
        before, started = processor_seconds(), time.perf_counter()
        with PeakMemory() as memory:
            made = pairdex.graph(collection, out, k=K, **options)
        seconds = time.perf_counter() - started
        used = processor_seconds() - before
        with h5py.File(out) as file:
            ids = file["knns"][:].astype(np.int64) - 1
    return {
        "work": work,
        "passes": made.passes,
        "processor_seconds": round(used, 2),
        "seconds": round(seconds, 2),
        "memory_bytes_a_row": round(memory.peak_bytes / given.rows),
        "recall": recall_of(ids, given),
    }


def measure_product(stored: NDArray[np.float16]) -> dict[str, Any]:
    """Time the product of some rows with all, scaled to all with all."""
    rows = stored.astype(np.float32)
    some = rows[:PRODUCT_ROWS]
    before, started = processor_seconds(), time.perf_counter()
    for first in range(0, len(rows), 1 << 16):
        _ = some @ rows[first : first + (1 << 16)].T
    scale = len(rows) / len(some)
    return {
        "work": "numpy's product alone",
        "processor_seconds": round((processor_seconds() - before) * scale, 1),
        "seconds": round((time.perf_counter() - started) * scale, 1),
    }


def run_peer(name: str, given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=given.cache) as folder:
        out = Path(folder) / "ids.npy"
        command = [given.peers, HERE / "graph_peers.py", name, parts_of(given) / IMAGES, out]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        report = dict(json.loads(done.stdout))
        return {**report, "recall": recall_of(np.load(out), given)}


def recall_of(ids: NDArray[np.int64], given: argparse.Namespace) -> float:
    """Return the recall of rows drawn at random, by distances: rows as near as the k-th are right."""
    rows = np.load(parts_of(given) / IMAGES, mmap_mode="r")
    sample = np.sort(np.random.default_rng(1).choice(len(rows), SAMPLE, replace=False))
    queries = rows[sample].astype(np.float32)
    farthest = nearest([rows], queries, K + 1).distances[:, -1:]  # the row itself is the first
    found = 1 - cosines(queries, rows, ids[sample])
    return round(float(np.mean(found <= farthest + 1e-6)), 4)


def cosines(
    queries: NDArray[np.float32], rows: NDArray[np.float16], ids: NDArray[np.int64]
) -> NDArray[np.float64]:
    others = rows[np.maximum(ids, 0)].astype(np.float64)
    dots = np.einsum("qd,qkd->qk", queries.astype(np.float64), others)
    norms = np.linalg.norm(queries.astype(np.float64), axis=1)[:, None] * np.linalg.norm(
        others, axis=2
    )
    return np.where(ids >= 0, dots / norms, -1.0)


class PeakMemory:
    """The largest memory of this process that is not a mapped file, looked at every 20 ms."""

    def __enter__(self) -> PeakMemory:
        self.peak_bytes = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.02):
            status = Path("/proc/self/status").read_text("ascii")
            kilobytes = int(status.split("RssAnon:")[1].split()[0])
            self.peak_bytes = max(self.peak_bytes, kilobytes * 1024)


if __name__ == "__main__":
    main()
