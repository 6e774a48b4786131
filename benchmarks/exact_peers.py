"""One timed batch search by another library, for `exact.py`: prints the search's seconds.

python exact_peers.py NAME FOLDER image|text N_QUERIES K cosine|ip
"""

import sys
import time
from pathlib import Path

import numpy as np


def rows_of(path: Path, metric: str) -> np.ndarray:
    """All rows, float32, normalised for cosines."""
    stored = np.load(path, mmap_mode="r")
    rows = np.empty(stored.shape, np.float32)
    for first in range(0, len(rows), 50_000):
        some = stored[first : first + 50_000].astype(np.float32)
        if metric == "cosine":
            some /= np.linalg.norm(some, axis=1, keepdims=True)
        rows[first : first + 50_000] = some
    return rows


def faiss_seconds(rows: np.ndarray, queries: np.ndarray, k: int) -> float:
    import faiss  # noqa: PLC0415 - each peer is there or not

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    index.search(queries[:20], k)
    started = time.perf_counter()
    index.search(queries, k)
    return time.perf_counter() - started


def torch_bf16_seconds(rows: np.ndarray, queries: np.ndarray, k: int) -> float:
    import torch  # noqa: PLC0415

    x = torch.from_numpy(rows).to(torch.bfloat16)
    q = torch.from_numpy(queries).to(torch.bfloat16)
    torch.topk(q[:20] @ x.T, k)
    started = time.perf_counter()
    for some in q.split(100):
        torch.topk(some @ x.T, k)
    return time.perf_counter() - started


def usearch_seconds(rows: np.ndarray, queries: np.ndarray, k: int) -> float:
    from usearch.index import search  # noqa: PLC0415

    halves, few = rows.astype(np.float16), queries.astype(np.float16)
    search(halves, few[:4], k, "ip", exact=True)
    started = time.perf_counter()
    search(halves, few, k, "ip", exact=True)
    return time.perf_counter() - started


def numpy_seconds(rows: np.ndarray, queries: np.ndarray, k: int) -> float:
    started = time.perf_counter()
    for first in range(0, len(queries), 100):
        scores = queries[first : first + 100] @ rows.T
        np.argpartition(scores, len(rows) - k, axis=1)
    return time.perf_counter() - started


def sgemm_seconds(rows: np.ndarray, queries: np.ndarray, k: int) -> float:  # noqa: ARG001
    """Compute the products alone: no library that needs them in float32 can be faster."""
    started = time.perf_counter()
    for first in range(0, len(queries), 100):
        queries[first : first + 100] @ rows.T
    return time.perf_counter() - started


SECONDS = {
    "numpy": numpy_seconds,
    "sgemm": sgemm_seconds,
    "faiss": faiss_seconds,
    "faiss-skylakex": faiss_seconds,
    "torch-bf16": torch_bf16_seconds,
    "usearch": usearch_seconds,
}


def main() -> None:
    name, folder, kind, n_queries, k, metric = sys.argv[1:]
    rows = rows_of(Path(folder) / "parts/img_emb/img_emb_0.npy", metric)
    queries = np.load(Path(folder) / "queries.npz")[kind][: int(n_queries)].astype(np.float32)
    print(SECONDS[name](rows, queries, int(k)))


if __name__ == "__main__":
    main()
