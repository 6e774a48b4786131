"""One approximate index of another library, built and swept, for `index.py`: prints one JSON object.

    python -m venv peers && peers/bin/pip install faiss-cpu hnswlib usearch scalable-vs rabitqlib scann pyglass-portable
    peers/bin/python index_peers.py NAME FOLDER [--threads 2] [--k 10]

hnswlib comes as source and is compiled for this machine, so it needs a C++ compiler. Each library searches
float32 rows of unit length, or what it makes of them, by inner product or the L2 distance, which order them
alike; `-ip` and `-l2` name indexes that differ by it. A search of one query uses one thread.

`bytes_a_row` is what the index takes beside the float16 vectors (2 bytes a dimension, on disk anyway): its
serialized size, or where a library cannot save all of it the growth of the resident set, less those. So a
float32 copy of the rows counts by half.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from index_points import Effort, Search, Truth, sweep
from numpy.typing import NDArray

Rows = NDArray[np.float32]
EFS = (10, 16, 24, 36, 54, 80, 120, 200, 320, 500, 800, 1300, 2000, 3200)
NPROBES = (4, 7, 12, 20, 34, 58, 100, 170, 300, 520, 900)
REFINED = (5, 20, 50)  # times k


@dataclass(frozen=True)
class Built:
    """A searchable index, and a function that returns the bytes it holds."""

    search: Search
    index_bytes: Callable[[], int]


@dataclass(frozen=True)
class Peer:
    """A library's index: how it is built, what for parameters, and the efforts to try."""

    package: str
    build: Callable[..., Built]
    parameters: dict[str, Any] = field(default_factory=dict)
    efforts: Sequence[Iterable[Effort]] = (EFS,)


def nlist_for(n_rows: int) -> int:
    """Return a power of two, for lists of about 250 rows."""
    return 2 ** round(np.log2(n_rows / 250))


def build_hnswlib(rows: Rows, k: int, threads: int, *, m: int, ef_construction: int) -> Built:
    import hnswlib  # noqa: PLC0415 - each library is there or not

    index = hnswlib.Index("ip", rows.shape[1])
    index.init_index(len(rows), ef_construction=ef_construction, M=m)
    index.add_items(rows, num_threads=threads)

    def search(queries: Rows, ef: int, threads: int) -> NDArray[Any]:
        index.set_ef(ef)
        return index.knn_query(queries, k, num_threads=threads)[0]

    return Built(search, lambda: saved_bytes(lambda path: index.save_index(str(path))))


def build_faiss_hnsw(rows: Rows, k: int, threads: int, *, m: int, ef_construction: int) -> Built:
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(threads)
    index = faiss.index_factory(rows.shape[1], f"HNSW{m},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = ef_construction
    index.train(rows)
    index.add(rows)

    def search(queries: Rows, ef: int, threads: int) -> NDArray[Any]:
        faiss.omp_set_num_threads(threads)
        index.hnsw.efSearch = ef
        return index.search(queries, k)[1]

    return Built(search, lambda: saved_bytes(lambda path: faiss.write_index(index, str(path))))


def build_faiss_ivf(rows: Rows, k: int, threads: int, *, codes: str, metric: str) -> Built:
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(threads)
    spec = codes.format(nlist=nlist_for(len(rows)))
    kind = {"ip": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}[metric]
    index = faiss.index_factory(rows.shape[1], spec, kind)
    lists = faiss.extract_index_ivf(index)
    lists.cp.niter, lists.cp.max_points_per_centroid = 10, 64
    index.train(rows)
    index.add(rows)
    refine = faiss.downcast_index(index)
    while not hasattr(refine, "k_factor"):
        refine = faiss.downcast_index(refine.index)

    def search(queries: Rows, effort: tuple[int, int], threads: int) -> NDArray[Any]:
        faiss.omp_set_num_threads(threads)
        refine.k_factor, lists.nprobe = effort
        return index.search(queries, k)[1]

    return Built(search, lambda: saved_bytes(lambda path: faiss.write_index(index, str(path))))


def build_usearch(rows: Rows, k: int, threads: int, *, m: int, ef_construction: int) -> Built:
    from usearch.index import Index  # noqa: PLC0415

    index = Index(
        ndim=rows.shape[1],
        metric="ip",
        dtype="bf16",
        connectivity=m,
        expansion_add=ef_construction,
    )
    index.add(np.arange(len(rows)), rows, threads=threads)

    def search(queries: Rows, ef: int, threads: int) -> NDArray[Any]:
        index.expansion_search = ef
        keys = index.search(queries, k, threads=threads).keys
        return np.asarray(keys).reshape(len(queries), k)

    return Built(search, lambda: saved_bytes(lambda path: index.save(str(path))))


def build_svs(rows: Rows, k: int, threads: int, *, degree: int, window: int) -> Built:
    import svs  # noqa: PLC0415

    parameters = svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=degree, window_size=window)
    index = svs.Vamana.build(parameters, rows.astype(np.float16), svs.DistanceType.L2, threads)

    def search(queries: Rows, window: int, threads: int) -> NDArray[Any]:
        if index.num_threads != threads:
            index.num_threads = threads
        if index.search_window_size != window:
            index.search_window_size = window
        return index.search(queries, k)[0]

    def save(path: Path) -> None:
        index.save(*(str(path / part) for part in ("config", "graph", "data")))

    return Built(search, lambda: saved_bytes(save, folder=True))


def build_symphonyqg(
    rows: Rows, k: int, threads: int, *, degree: int, ef_construction: int
) -> Built:
    import rabitqlib  # noqa: PLC0415

    index = rabitqlib.SymqgIndex(rows.shape[1], degree, "l2")
    index.build(rows, ef_construction, threads)

    def search(queries: Rows, ef: int, threads: int) -> NDArray[Any]:
        return index.search_batch(queries, k, ef, threads)[0]

    return Built(search, lambda: saved_bytes(lambda path: index.save(str(path))))


def build_scann(rows: Rows, k: int, threads: int, *, dims_a_code: int, soar: float | None) -> Built:
    import scann  # noqa: PLC0415

    builder = scann.scann_ops_pybind.builder(rows, k, "dot_product")
    lists = {"num_leaves": nlist_for(len(rows)), "num_leaves_to_search": 10}
    builder = builder.tree(**lists, training_sample_size=len(rows), soar_lambda=soar)
    builder = builder.score_ah(dims_a_code, anisotropic_quantization_threshold=0.2)
    index = builder.reorder(100)  # in float32: bfloat16 stops at recall .97
    index = index.set_n_training_threads(threads).build()
    index.set_num_threads(threads)

    def search(queries: Rows, effort: tuple[int, int], threads: int) -> NDArray[Any]:
        refined, nprobe = effort
        if len(queries) == 1:
            return index.search(queries[0], k, refined * k, nprobe)[0][None]
        batch_size = -(-len(queries) // threads)
        return index.search_batched_parallel(queries, k, refined * k, nprobe, batch_size)[0]

    return Built(search, lambda: saved_bytes(lambda path: index.serialize(str(path)), folder=True))


def build_glass(
    rows: Rows, k: int, threads: int, *, degree: int, ef_construction: int, codes: str
) -> Built:
    import glass  # noqa: PLC0415

    glass.set_num_threads(threads)
    graph = glass.Index("HNSW", "IP", "FP16", degree, ef_construction).build(rows)
    size = saved_bytes(lambda path: graph.save(str(path)))  # its searcher takes the graph away
    searcher = glass.Searcher(graph, rows, "IP", codes, "FP16")
    searcher.optimize(threads)
    bytes_a_value = {"SQ8U": 1, "SQ4U": 0.5}[codes] + 2  # the codes and the float16 rows

    def search(queries: Rows, ef: int, threads: int) -> NDArray[Any]:
        searcher.set_ef(ef)
        if len(queries) == 1:
            return searcher.search(queries[0], k)[0][None]
        return searcher.batch_search(queries, k, threads)[0]

    return Built(search, lambda: size + int(rows.size * bytes_a_value))


def saved_bytes(save: Callable[[Path], object], *, folder: bool = False) -> int:
    """Bytes of an index's file or folder."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) if folder else Path(scratch) / "index"
        save(path)
        return sum(file.stat().st_size for file in Path(scratch).rglob("*") if file.is_file())


REFINE_PAIRS = [[(times, nprobe) for nprobe in NPROBES] for times in REFINED]
PQ = "IVF{nlist},PQ256x4fs,Refine(SQfp16)"
RABITQ = "RR512,IVF{nlist},RaBitQfs,Refine(SQfp16)"

PEERS = {
    "hnswlib-16": Peer("hnswlib", build_hnswlib, {"m": 16, "ef_construction": 200}),
    "hnswlib-32": Peer("hnswlib", build_hnswlib, {"m": 32, "ef_construction": 200}),
    "faiss-hnsw-32": Peer("faiss-cpu", build_faiss_hnsw, {"m": 32, "ef_construction": 200}),
    "faiss-ivfpq-l2": Peer(
        "faiss-cpu", build_faiss_ivf, {"codes": PQ, "metric": "l2"}, REFINE_PAIRS
    ),
    "faiss-ivfpq-ip": Peer(
        "faiss-cpu", build_faiss_ivf, {"codes": PQ, "metric": "ip"}, REFINE_PAIRS
    ),
    "faiss-rabitq-l2": Peer(
        "faiss-cpu", build_faiss_ivf, {"codes": RABITQ, "metric": "l2"}, REFINE_PAIRS
    ),
    "faiss-rabitq-ip": Peer(
        "faiss-cpu", build_faiss_ivf, {"codes": RABITQ, "metric": "ip"}, REFINE_PAIRS
    ),
    "usearch-16": Peer("usearch", build_usearch, {"m": 16, "ef_construction": 128}),
    "usearch-64": Peer("usearch", build_usearch, {"m": 64, "ef_construction": 256}),
    "svs-64": Peer("scalable-vs", build_svs, {"degree": 64, "window": 128}),
    "symphonyqg-32": Peer("rabitqlib", build_symphonyqg, {"degree": 32, "ef_construction": 200}),
    "scann": Peer("scann", build_scann, {"dims_a_code": 2, "soar": None}, REFINE_PAIRS),
    "scann-soar": Peer("scann", build_scann, {"dims_a_code": 2, "soar": 1.5}, REFINE_PAIRS),
    "glass-sq8": Peer(
        "pyglass-portable",
        build_glass,
        {"degree": 32, "ef_construction": 200, "codes": "SQ8U"},
    ),
    "glass-sq4": Peer(
        "pyglass-portable",
        build_glass,
        {"degree": 32, "ef_construction": 200, "codes": "SQ4U"},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--k", type=int, default=10)
    given = parser.parse_args()
    print(json.dumps(run(given.name, given.folder, given.k, given.threads)))


def run(name: str, folder: Path, k: int, threads: int) -> dict[str, Any]:
    peer, truth = PEERS[name], Truth(folder, k)
    rows = unit_rows(truth.rows)
    started = time.perf_counter()
    built = peer.build(rows, k, threads, **peer.parameters)
    build_seconds = time.perf_counter() - started
    n_rows, dim = rows.shape
    return {
        "name": name,
        "version": version(peer.package),
        "parameters": peer.parameters,
        "rows": n_rows,
        "k": k,
        "threads": threads,
        "build_seconds": round(build_seconds, 2),
        "bytes_a_row": round(built.index_bytes() / n_rows - 2 * dim, 1),
        "points": sweep(built.search, peer.efforts, truth, threads),
    }


def unit_rows(stored: NDArray[np.float16]) -> Rows:
    rows = np.empty(stored.shape, np.float32)
    for first in range(0, len(rows), 50_000):
        some = stored[first : first + 50_000].astype(np.float32)
        rows[first : first + 50_000] = some / np.linalg.norm(some, axis=1, keepdims=True)
    return rows


if __name__ == "__main__":
    main()
