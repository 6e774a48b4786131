"""How fast the exact search is beside other libraries' brute force, on data like CLIP's.

    python benchmarks/exact.py [--metric cosine|ip] [--rows 1000000] [--cache DIR] [--runs 3] [--json]
        [--peers numpy,sgemm,faiss,faiss-skylakex,torch-bf16,usearch] [--peers-python PYTHON]

Makes image and text vectors and held-out queries of both kinds with `clip_like.py`, builds the codes,
and times one query and batches by the codes and without them. With `--metric ip`, it makes 128-dimensional
rows of many lengths and queries unlike them, as an attention layer's keys and queries, and compares inner
products. Every peer runs in a process of its
own, one after the other within the same run, with as many threads; `--peers-python` names the
interpreter of an environment that has them. Reported are medians; compare ratios within a run, not
figures between machines. The answers by codes are compared with those without, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from reading import read_all

from pairdex import _native
from pairdex.knn.codes import Codes, build_codes, open_codes
from pairdex.knn.cosine import Neighbours, nearest
from pairdex.work.machine import processor
from pairdex.work.processors import usable_processors

HERE = Path(__file__).resolve().parent
PEERS = {  # name: extra environment
    "numpy": {},
    "sgemm": {},  # NumPy's matrix product alone
    "faiss": {},
    "faiss-skylakex": {"OPENBLAS_CORETYPE": "SKYLAKEX"},
    "torch-bf16": {},
    "usearch": {},
}
BATCHES = {
    "cosine": [("image", 10), ("text", 10), ("image", 100), ("image", 1000)],
    "ip": [("image", 10), ("image", 30), ("image", 100)],
}
KEY_DIM = 128
PEER_SECONDS = 600  # a peer that needs longer is left out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--metric", choices=list(BATCHES), default="cosine")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--peer-queries", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--kernel", default=None, help="default: the fastest")
    parser.add_argument("--peers", default="numpy,sgemm,faiss,faiss-skylakex")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = measure(arguments)
    print(json.dumps(report, indent=None if arguments.json else 2))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    folder = make_data(arguments)
    images = np.load(folder / "parts/img_emb/img_emb_0.npy", mmap_mode="r")
    texts = [np.load(path, mmap_mode="r") for path in folder.glob("parts/text_emb/*.npy")]
    queries = {k: v.astype(np.float32) for k, v in np.load(folder / "queries.npz").items()}
    threads = usable_processors()
    report: dict[str, Any] = {
        "machine": processor(),
        "threads": threads,
        "kernel": arguments.kernel or _native.kernels()[0],
        "metric": arguments.metric,
        "rows": len(images),
        "dim": images.shape[1],
        "load_before": os.getloadavg()[0],
    }
    codes_path = folder / "codes"
    started = time.perf_counter()
    metric = arguments.metric
    build_codes([images], codes_path, text_blocks=texts, metric=metric, threads=threads)
    report["build_codes_seconds"] = round(time.perf_counter() - started, 2)
    over = codes_path.stat().st_size - images.shape[1] ** 2 * 4
    report["bytes_a_row"] = round(over / len(images), 1)
    codes = open_codes(codes_path, rows=len(images), dim=images.shape[1])
    search = Searches(images, queries, codes, arguments)
    report["singles"] = search.singles(threads)
    batches = [one for one in BATCHES[metric] if one[1] < len(images)]
    report["batches"] = [search.batch(kind, k, folder) for kind, k in batches]
    report["agreement"] = search.agreement()
    return report


class Searches:
    """The searches of one run, over one set of rows."""

    def __init__(
        self,
        images: np.ndarray,
        queries: dict[str, np.ndarray],
        codes: Codes,
        arguments: argparse.Namespace,
    ) -> None:
        self.images, self.queries, self.codes, self.arguments = images, queries, codes, arguments

    def find(self, queries: np.ndarray, k: int, *, by_codes: bool = True) -> Neighbours:
        """One search, by the codes or by the rows themselves."""
        codes = self.codes if by_codes else None
        metric, kernel = self.arguments.metric, self.arguments.kernel
        return nearest([self.images], queries, k, metric=metric, codes=codes, kernel=kernel)

    def singles(self, threads: int) -> list[dict[str, Any]]:
        """One query at a time, beside the time to read the bytes that it needs."""
        rows_bytes = np.asarray(self.images).view(np.uint8).reshape(-1)
        rows = []
        for kind, by_codes in (("image", False), ("image", True), ("text", True)):
            if kind not in self.queries:
                continue
            planes = [self.codes.head, self.codes.rest] if by_codes else [rows_bytes]
            found = [
                self.find(q[None], 10, by_codes=by_codes).report for q in self.queries[kind][:20]
            ]
            refined = statistics.mean(r.refined / r.scanned if r.scanned else 0 for r in found)
            must_read = len(planes[0]) + (refined * len(planes[1]) if by_codes else 0)
            read, searches = [], []
            for number in range(20 * self.arguments.runs):
                query = self.queries[kind][number % 20][None]
                read.append(seconds(lambda: [read_all(one, threads) for one in planes]))  # noqa: B023
                searches.append(seconds(partial(self.find, query, 10, by_codes=by_codes)))
            bandwidth = sum(map(len, planes)) / statistics.median(read)
            taken = statistics.median(searches)
            rows.append(
                {
                    "query": kind,
                    "by": "codes" if by_codes else "rows",
                    "ms": round(taken * 1e3, 2),
                    "best_ms": round(min(searches) * 1e3, 2),
                    "read_gb_s": round(bandwidth / 1e9, 1),
                    "share_of_bandwidth": round(must_read / taken / bandwidth, 2),
                    "refined_share": round(refined, 4),
                }
            )
        return rows

    def batch(self, kind: str, k: int, folder: Path) -> dict[str, Any]:
        """All queries at once, in turns with the peers."""
        queries = self.queries[kind]
        pairs = len(self.images) / 1e9
        ours, theirs = [], {name: [] for name in self.arguments.peers.split(",") if name}
        for _ in range(self.arguments.runs):
            ours.append(len(queries) * pairs / seconds(partial(self.find, queries, k)))
            for name, rates in theirs.items():
                taken = self.peer(name, kind, k, folder)
                if taken is not None:
                    rates.append(self.arguments.peer_queries * pairs / taken)
        report = self.find(queries, k).report
        mine = statistics.median(ours)
        peers = {name: statistics.median(rates) for name, rates in theirs.items() if rates}
        return {
            "queries": kind,
            "k": k,
            "g_pairs_s": round(mine, 3),
            "best_g_pairs_s": round(max(ours), 3),
            "peers_g_pairs_s": {name: round(rate, 4) for name, rate in peers.items()},
            "times_faster": {name: round(mine / rate, 1) for name, rate in peers.items()},
            "refined_share": round(report.refined / report.scanned, 4),
            "rechecked_a_query": round(report.rechecked / len(queries), 1),
            "certified": report.certified,
        }

    def peer(self, name: str, kind: str, k: int, folder: Path) -> float | None:
        """Seconds of a peer's search, or None if it failed."""
        command = [self.arguments.peers_python, HERE / "exact_peers.py", name, folder, kind]
        command += [str(self.arguments.peer_queries), str(k), self.arguments.metric]
        environment = os.environ | PEERS[name]
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PEER_SECONDS,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            return None
        return float(done.stdout)

    def agreement(self) -> dict[str, bool]:
        """Whether the codes give the bits that the rows themselves give."""
        same = {}
        for kind, k in BATCHES[self.arguments.metric]:
            queries = self.queries[kind][:50]
            found, truth = (self.find(queries, k, by_codes=one) for one in (True, False))
            equal = np.array_equal(found.ids, truth.ids)
            same[f"{kind} k={k}"] = equal and np.array_equal(found.distances, truth.distances)
        return same


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def make_data(arguments: argparse.Namespace) -> Path:
    if arguments.metric == "ip":
        return make_keys(arguments)
    folder: Path = arguments.cache / f"exact-{arguments.rows}"
    tool = [sys.executable, arguments.data / "tools" / "clip_like.py", "--out"]
    if not (folder / "queries.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([*tool, folder / "parts", "--rows", str(arguments.rows)], check=True)
        count = ["--queries", str(arguments.queries), "--seed", "99"]
        subprocess.run([*tool, folder / "queries.npz", *count], check=True)
    return folder


def make_keys(arguments: argparse.Namespace) -> Path:
    """Write rows with a few large coordinates and many lengths, and queries of another distribution."""
    folder: Path = arguments.cache / f"exact-ip-{arguments.rows}"
    if (folder / "queries.npz").exists():
        return folder
    rng = np.random.default_rng(7)
    spectrum = (1 + np.arange(KEY_DIM)) ** -0.5
    centre, axes = np.zeros(KEY_DIM), np.linalg.qr(rng.standard_normal((KEY_DIM, KEY_DIM)))[0]
    centre[rng.choice(KEY_DIM, 4, replace=False)] = (9, -7, 5, -4)
    others = np.linalg.qr(rng.standard_normal((KEY_DIM, KEY_DIM)))[0]
    kinds = 2 * rng.standard_normal((256, KEY_DIM)) * spectrum @ axes
    made = centre + kinds[rng.integers(256, size=arguments.rows)]
    made += 2 * rng.standard_normal(made.shape) * spectrum @ axes
    made *= rng.lognormal(0, 0.2, (len(made), 1))
    queries = (
        0.3 * centre + 2 * rng.standard_normal((arguments.queries, KEY_DIM)) * spectrum @ others
    )
    parts = folder / "parts/img_emb"
    parts.mkdir(parents=True, exist_ok=True)
    np.save(parts / "img_emb_0.npy", made.astype(np.float16))
    np.savez(folder / "queries.npz", image=queries.astype(np.float16))
    return folder


if __name__ == "__main__":
    main()
