"""How fast searches in projections are, beside NumPy, faiss and the read bandwidth of the same run.

    python benchmarks/projected.py [--rows 1000000] [--cache DIR] [--runs 3] [--peers-python PYTHON]

Makes rows of 96 float32 with falling variances, as PCA coordinates of CLIP vectors have, and sketches of
1,024 bits of them (signs of random directions). One query is compared with reading the same bytes in
turn, on one thread and on all. Batches are searched on one thread beside NumPy's matrix product and
faiss's IndexFlatL2 and IndexBinaryFlat, each in a process of its own. What one thread does is measured
in CPU time: on a shared machine that is nearer to what it takes alone. The fastest of the runs counts. `--peers-python` names
an interpreter that has faiss, whose distances are compared with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reading import read_all

from pairdex.knn import euclidean

DIM, BITS, QUERIES = 96, 1_024, 1_000
BATCHES = [10, 100, 1_000]  # k


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cache", type=Path, help="keep the made rows here")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has faiss")
    parser.add_argument("--peer", nargs=3, metavar=("NAME", "SPACE", "K"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        name, space, k = arguments.peer
        run_peer(name, arguments.cache, space, int(k))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.cache or Path(temporary)
        if not (folder / "queries-hamming.npy").exists():
            make(folder, arguments.rows)
        for space in ("hamming", "pca"):
            report(space, folder, arguments.runs, arguments.peers_python)


def make(folder: Path, n_rows: int) -> None:
    """Write rows and queries of both spaces."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    scales = (0.2 * np.arange(1, DIM + 1) ** -0.6).astype(np.float32)
    directions = rng.standard_normal((DIM, BITS)).astype(np.float32)
    create = partial(np.lib.format.open_memmap, mode="w+")
    for name, count in (("rows", n_rows), ("queries", QUERIES)):
        points = create(folder / f"{name}-pca.npy", dtype=np.float32, shape=(count, DIM))
        words = create(folder / f"{name}-hamming.npy", dtype=np.uint64, shape=(count, BITS // 64))
        for first in range(0, count, 50_000):
            some = rng.standard_normal((min(50_000, count - first), DIM), np.float32) * scales
            points[first : first + len(some)] = some
            bits = np.packbits(some @ directions > 0, axis=1, bitorder="little")
            words[first : first + len(some)] = bits.view(np.uint64)


def report(space: str, folder: Path, runs: int, peers_python: Path | None) -> None:
    from pairdex import _native  # noqa: PLC0415 - peers do without
    from pairdex.knn import hamming  # noqa: PLC0415 - peers do without
    from pairdex.work.processors import usable_processors  # noqa: PLC0415

    rows = np.load(folder / f"rows-{space}.npy", mmap_mode="r")
    queries = np.load(folder / f"queries-{space}.npy")
    search: Callable[..., Any] = hamming.nearest if space == "hamming" else euclidean.nearest
    flat = rows.view(np.uint8).reshape(-1)
    print(f"{space}: {len(rows):,} rows of {flat.size // len(rows)} bytes, {_native.kernels()[0]}")
    for threads, clock in ((1, time.process_time), (usable_processors(), time.perf_counter)):
        reading, single = [], []
        for _ in range(30 * runs):
            reading.append(seconds_of(partial(read_all, flat, threads), clock))
            one = partial(search, [rows], queries[:1], 10, threads=threads)
            single.append(seconds_of(one, clock))
        print(
            f"  one query, {threads} threads: {1e3 * min(single):.2f} ms, {min(reading) / min(single):.0%} "
            f"of the read bandwidth, {flat.size / min(reading) / 1e9:.1f} GB/s"
        )
    for k in BATCHES:
        work = partial(search, [rows], queries, k, threads=1)
        seconds = min(seconds_of(work, time.process_time) for _ in range(runs))
        case = Case(folder, space, k, len(rows), seconds)
        print(f"  {QUERIES} queries, k = {k}: {case.speed(seconds)}")
        if peers_python is not None:
            beside(peers_python, "faiss", case)
            found = np.load(folder / "peer.npy")
            np.testing.assert_allclose(found, work()[1], rtol=1e-3, atol=1e-3)
        if space == "pca" and k == BATCHES[0]:
            for name in ("product", "numpy", "product-skylakex"):
                beside(Path(sys.executable), name, case)


def seconds_of(work: Callable[[], object], clock: Callable[[], float]) -> float:
    started = clock()
    work()
    return clock() - started


@dataclass(frozen=True)
class Case:
    """What is searched, and what it took us."""

    folder: Path
    space: str
    k: int
    n_rows: int
    seconds: float

    def speed(self, seconds: float) -> str:
        """Return the speed of a search that takes this many seconds."""
        pairs = self.n_rows * QUERIES / seconds / 1e9
        speed = f"{pairs:.3f} G pairs/s"
        return speed if self.space == "hamming" else f"{speed}, {2 * DIM * pairs:.0f} GFLOP/s"


def beside(python: Path, name: str, case: Case) -> None:
    """Print what a peer takes, in a process of its own, and how much longer that is."""
    command = [python, __file__, "--cache", case.folder, "--peer", name, case.space, case.k]
    settings = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if name.endswith("skylakex"):
        settings["OPENBLAS_CORETYPE"] = "SKYLAKEX"
    done = subprocess.run(
        list(map(str, command)), check=True, stdout=subprocess.PIPE, env={**os.environ, **settings}
    )
    theirs = json.loads(done.stdout)["seconds"]
    print(f"    {name}: {case.speed(theirs)}: {theirs / case.seconds:.1f} times as long")


def run_peer(name: str, folder: Path, space: str, k: int) -> None:
    rows = np.load(folder / f"rows-{space}.npy")
    queries = np.load(folder / f"queries-{space}.npy")
    if name == "faiss":
        seconds = faiss_seconds(folder, rows, queries, k)
    else:
        norms = (rows**2).sum(axis=1)
        work = product if name.startswith("product") else numpy_search
        seconds = seconds_of(partial(work, rows, norms, queries, k), time.process_time)
    sys.stdout.write(json.dumps({"seconds": seconds}))


def faiss_seconds(folder: Path, rows: np.ndarray, queries: np.ndarray, k: int) -> float:
    import faiss  # noqa: PLC0415 - only in the peers' environment

    if rows.dtype == np.uint64:
        index = faiss.IndexBinaryFlat(BITS)
        rows, queries = rows.view(np.uint8), queries.view(np.uint8)
    else:
        index = faiss.IndexFlatL2(DIM)
    index.add(rows)
    index.search(queries[:20], k)
    started = time.process_time()
    distances, _ = index.search(queries, k)
    seconds = time.process_time() - started
    np.save(folder / "peer.npy", distances)
    return seconds


def product(rows: np.ndarray, _norms: np.ndarray, queries: np.ndarray, _k: int) -> None:
    """Take only the product, in blocks of rows that stay small."""
    for first in range(0, len(rows), 10_000):
        queries @ rows[first : first + 10_000].T


def numpy_search(rows: np.ndarray, norms: np.ndarray, queries: np.ndarray, k: int) -> None:
    """Search as one does in NumPy, without even merging the blocks."""
    for first in range(0, len(rows), 10_000):
        scores = queries @ rows[first : first + 10_000].T
        np.argpartition(norms[first : first + 10_000] - 2 * scores, k, axis=1)


if __name__ == "__main__":
    main()
