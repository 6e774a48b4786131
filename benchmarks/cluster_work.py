"""What work on Ray nodes of this machine costs, compared with the same work in local processes or threads.

    python benchmarks/cluster_work.py [--rows 1000000] [--pictures 1200] [--queries 4000] [--runs 3]
                                      [--cache DIR] [--out FILE.json]

It starts one Ray node with as many processors as this process may use, and times `build` (in as many
processes), `encode`, `project` and `gold`, each of 4 parts or blocks, with and without `cluster`, by turns. The
results are compared. Times are medians of the runs; on a busy machine they are noise. A command joins the
cluster once: that time and the probe's are measured apart, and count once for each job in `ratio_of_command`.

Target: at most 1.15 times the local time. Short work misses it: the processes of a node have to start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from shards import make_collections

import pairdex
from pairdex.demo.pictures import draw_pictures
from pairdex.work.executors import executor_for
from pairdex.work.machine import machine
from pairdex.work.processors import usable_processors

HERE = Path(__file__).resolve().parent
PARTS = 4
TARGET = 1.15
Job = Callable[[Path, str | None], None]


def main() -> None:
    """Measure, print a line for each job, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=1_200)
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.cache or Path(scratch)) / f"cluster-{given.rows}-{given.pictures}"
        make_collections(folder, given.shared, given.rows, PARTS)
        if not (folder / "pictures").exists():
            draw_pictures(folder / "pictures", count=given.pictures, seed=1)
        with one_node() as address:
            join_seconds = timed(lambda: join(address, folder))
            result = {
                "machine": machine(),
                "version": pairdex.__version__,
                **{name: getattr(given, name) for name in ("rows", "pictures", "queries")},
                "target": TARGET,
                "join_seconds": join_seconds,
                "jobs": measured(folder, address, given.queries, given.runs, join_seconds),
            }
    sys.stdout.write(json.dumps({"join_seconds": join_seconds, "target": TARGET}) + "\n")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


@contextmanager
def one_node() -> Iterator[str]:
    """Start a node of its own cluster, and yield its address."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    import ray  # noqa: PLC0415 - reads the environment
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    sizes = {"num_cpus": usable_processors(), "memory": 16 << 30, "object_store_memory": 200 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**sizes, "include_dashboard": False})
    session = cluster.head_node.get_session_dir_path()
    try:
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(session, ignore_errors=True)


def join(address: str, folder: Path) -> None:
    """Join the cluster as every command does; this program stays in it."""
    import ray  # noqa: PLC0415 - as above

    ray.init(address=address, namespace="benchmark", log_to_driver=False, logging_level="ERROR")
    with executor_for(cluster=address, folders=[folder]):
        pass


def jobs(folder: Path, queries: int) -> dict[str, Job]:
    """Return the jobs; each writes into a fresh folder."""
    asked = np.load(folder / "queries.npz")["image"]
    rng = np.random.default_rng(0)
    many = asked[rng.integers(0, len(asked), queries)].astype(np.float32)
    many += rng.normal(0, 1e-3, many.shape).astype(np.float32)
    pairdex.open(folder / "c").prepare()
    pictures = sum(1 for _ in (folder / "pictures").rglob("*.jpg")) or PARTS

    def build(target: Path, cluster: str | None) -> None:
        workers = 1 if cluster else usable_processors()
        pairdex.build(folder / "split", target / "c", cluster=cluster, workers=workers)

    def encode(target: Path, cluster: str | None) -> None:
        rows = -(-pictures // PARTS)
        pairdex.encode(
            folder / "pictures", target / "p", model="demo", part_rows=rows, cluster=cluster
        )

    def project(target: Path, cluster: str | None) -> None:  # noqa: ARG001 - it lies in the collection
        shutil.rmtree(folder / "c/projections", ignore_errors=True)
        pairdex.project(folder / "c", "pca96", fit_rows=20_000, cluster=cluster)

    def gold(target: Path, cluster: str | None) -> None:
        pairdex.gold(folder / "c", many, target / "gold.h5", k=10, cluster=cluster)

    return {"build": build, "encode": encode, "project": project, "gold": gold}


def measured(
    folder: Path, address: str, queries: int, runs: int, join_seconds: float
) -> list[dict[str, Any]]:
    """Time every job here and on the cluster, by turns, and compare what they write."""
    found = []
    for name, job in jobs(folder, queries).items():
        local, ray = [], []
        for _ in range(runs):
            ours, local_seconds = written(folder, job, None)
            theirs, ray_seconds = written(folder, job, address)
            assert ours == theirs, f"{name} differs"
            local.append(local_seconds)
            ray.append(ray_seconds)
        here, there = statistics.median(local), statistics.median(ray)
        found.append(
            {
                "job": name,
                "local_seconds": here,
                "ray_seconds": there,
                "ratio": there / here,
                "ratio_of_command": (there + join_seconds) / here,
            }
        )
        sys.stdout.write(
            f"{name:<8} {here:7.2f} s here, {there:7.2f} s on Ray: {there / here:.2f}\n"
        )
        sys.stdout.flush()
    return found


def written(folder: Path, job: Job, cluster: str | None) -> tuple[dict[str, int], float]:
    """Do a job; return the checksums of what it has written, and the seconds."""
    target = folder / "target"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    seconds = timed(lambda: job(target, cluster))
    places = [target, folder / "c/projections"]
    files = (path for place in places for path in place.rglob("*") if path.is_file())
    return {str(path): hash(path.read_bytes()) for path in files}, seconds


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
