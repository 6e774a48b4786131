"""The k-NN graph by another library, for `graph.py`: prints one JSON object.

    python -m venv peers && peers/bin/pip install faiss-cpu pynndescent
    peers/bin/python graph_peers.py NAME FILE.npy OUT.npy [--k 15] [--threads 2]

FILE holds float16 rows; OUT gets the ids (n, k) that were found, the row itself left out. Each library gets
float32 rows of unit length. What numba compiles is compiled on some rows first, and not measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from processor_time import processor_seconds

Rows = NDArray[np.float32]
_WARM_ROWS = 2_000


def build_pynndescent(rows: Rows, k: int, threads: int, *, neighbours: int) -> NDArray[Any]:
    from pynndescent import NNDescent  # noqa: PLC0415 - each library is there or not

    made = NNDescent(rows, metric="cosine", n_neighbors=neighbours, n_jobs=threads, random_state=0)
    return made.neighbor_graph[0][:, : k + 1]


def build_faiss(rows: Rows, k: int, threads: int, *, degree: int, rounds: int) -> NDArray[Any]:
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexNNDescentFlat(rows.shape[1], degree, faiss.METRIC_L2)
    index.nndescent.iter = rounds
    index.add(rows)
    graph = faiss.vector_to_array(index.nndescent.final_graph).reshape(len(rows), -1)
    return graph[:, : k + 1]


PEERS: dict[str, tuple[str, Callable[..., NDArray[Any]], dict[str, int]]] = {
    "pynndescent": ("pynndescent", build_pynndescent, {"neighbours": 16}),
    "pynndescent-30": ("pynndescent", build_pynndescent, {"neighbours": 30}),
    "faiss-nndescent-32": ("faiss-cpu", build_faiss, {"degree": 32, "rounds": 10}),
    "faiss-nndescent-64": ("faiss-cpu", build_faiss, {"degree": 64, "rounds": 10}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--k", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    package, build, parameters = PEERS[given.name]
    rows = unit_rows(np.load(given.rows, mmap_mode="r"))
    if package == "pynndescent":
        build(rows[:_WARM_ROWS], given.k, given.threads, **parameters)
    before, started = processor_seconds(), time.perf_counter()
    found = build(rows, given.k, given.threads, **parameters)
    report = {
        "name": given.name,
        "version": version(package),
        "parameters": parameters,
        "rows": len(rows),
        "processor_seconds": round(processor_seconds() - before, 2),
        "seconds": round(time.perf_counter() - started, 2),
    }
    np.save(given.out, without_itself(found, given.k))
    print(json.dumps(report))


def without_itself(found: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Leave k ids a row, none of them the row's own."""
    is_itself = found == np.arange(len(found))[:, None]
    if found.shape[1] > k:
        is_itself[~is_itself.any(axis=1), -1] = True
        found = found[~is_itself].reshape(len(found), -1)
    return found[:, :k].astype(np.int64)


def unit_rows(stored: NDArray[np.float16]) -> Rows:
    rows = stored.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
