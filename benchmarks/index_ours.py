"""pairdex's own indexes beside the others, for `index.py`: built and swept as they are."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from index_points import Truth, sweep
from numpy.typing import NDArray

from pairdex.graph_index import build as graph
from pairdex.graph_index import parameters as graph_parameters
from pairdex.graph_index.assembly import Indexed
from pairdex.graph_index.efforts import GraphEffort
from pairdex.graph_index.file import GraphFile
from pairdex.graph_index.search import WalkedGraph
from pairdex.ivf.build import Rows, build
from pairdex.ivf.efforts import Effort
from pairdex.ivf.file import IvfFile
from pairdex.ivf.parameters import Size, choose
from pairdex.ivf.search import InvertedIndex, Plan
from pairdex.version import __version__

IMAGE_WEIGHT, TEXT_WEIGHT = 0.45, 0.15  # of the lists' spread: what tuning chooses on these sets
RERANKS: dict[Size, tuple[float, ...]] = {"fast": (1.5, 3), "compact": (6, 16)}
VISITS = (10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64, 80, 100, 128, 160, 200, 300, 400)
NPROBES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def measure(size: Size, folder: Path, k: int, threads: int) -> dict[str, Any]:
    """Build the index of a set in a folder of its own and sweep its two efforts."""
    images = np.load(folder / "parts/img_emb/img_emb_0.npy", mmap_mode="r")
    texts = np.load(folder / "parts/text_emb/text_emb_0.npy", mmap_mode="r")
    parameters = choose(*images.shape, size=size)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "ivf"
        started = time.perf_counter()
        build(Rows([images], ["set"], [texts]), path, parameters, threads=threads)
        seconds = time.perf_counter() - started
        index = InvertedIndex(IvfFile(path), [images])

        def search(
            queries: NDArray[np.float32], effort: tuple[int, int], threads: int
        ) -> NDArray[np.int64]:
            nprobe, rerank = min(effort[0], parameters.nlist), effort[1]
            plan = Plan(Effort(nprobe, rerank, IMAGE_WEIGHT), Effort(nprobe, rerank, TEXT_WEIGHT))
            return index.search(queries, k, plan, threads=threads).ids

        efforts = [[(nprobe, int(k * times)) for nprobe in NPROBES] for times in RERANKS[size]]
        points = sweep(search, efforts, Truth(folder, k), threads)
        return {
            "name": f"pairdex-{size}",
            "version": __version__,
            "parameters": vars(parameters),
            "rows": len(images),
            "build_seconds": round(seconds, 1),
            "bytes_a_row": round(index.file_bytes / len(images), 1),
            "points": points,
        }


def measure_graph(size: Size, folder: Path, k: int, threads: int) -> dict[str, Any]:
    """Build the graph of a set in a folder of its own and sweep its effort."""
    images = np.load(folder / "parts/img_emb/img_emb_0.npy", mmap_mode="r")
    parameters = graph_parameters.choose(*images.shape, size=size)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "graph"
        started = time.perf_counter()
        graph.build(Indexed([images], ["set"]), path, parameters, threads=threads)
        seconds = time.perf_counter() - started
        walked = WalkedGraph(GraphFile(path), [images])

        def search(queries: NDArray[np.float32], visits: int, threads: int) -> NDArray[np.int64]:
            return walked.search(queries, k, GraphEffort(visits), threads=threads).ids

        points = sweep(search, [VISITS], Truth(folder, k), threads)
        return {
            "name": "pairdex-graph" if size == "fast" else "pairdex-graph-compact",
            "version": __version__,
            "parameters": vars(parameters),
            "rows": len(images),
            "build_seconds": round(seconds, 1),
            "bytes_a_row": round(path.stat().st_size / len(images), 1),
            "points": points,
        }
