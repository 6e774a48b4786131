"""What a service whose vectors are on Ray nodes costs, and whether requests are lost while actors are killed.

    python benchmarks/cluster.py [--rows 100000] [--shards 2] [--seconds 5] [--rounds 3]
        [--kill-seconds 50] [--kill-every 20] [--rate 20] [--cache DIR] [--out FILE.json]

It builds shards of `clip_like.py`'s vectors and starts as many Ray nodes on this machine. It serves the shards
by one process and by one actor a shard, and asks both by turns over one connection: k = 20 with all
metadata, exact. Then it serves them with two replicas and asks at a rate while it kills an actor's
process every few seconds; every answer but 200 counts as lost.

Target: the median on the cluster is at most 3 ms above that of the single process, and no request is lost.
All run on one machine and share its processors; several machines would not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import load
import numpy as np
import shards

import pairdex
import service
from pairdex.work.machine import machine

K = 20
QUERIES = 500
TARGET_MS = 3.0
NODE_MEMORY = 8 << 30
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def main() -> None:
    """Measure, print a line, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5, help="of each round of each service")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill-seconds", type=float, default=50, help="0: kill nothing")
    parser.add_argument("--kill-every", type=float, default=20, help="seconds between two kills")
    parser.add_argument("--rate", type=float, default=20, help="requests a second meanwhile")
    parser.add_argument("--shared", type=Path, default=shards.HERE.parent.parent / "shared")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    os.environ |= SETTINGS
    with (
        tempfile.TemporaryDirectory() as scratch,
        nodes(max(2, given.shards)) as (address, raylets),
    ):
        folder = (given.cache or Path(scratch)) / f"shards-{given.rows}-{given.shards}"
        shards.make_collections(folder, given.shared, given.rows, given.shards)
        requests = requests_of(folder)
        times = latencies(folder / "sharded", address, requests, given)
        lost = kills(folder / "sharded", address, raylets, requests, given)
    result = {
        "machine": machine(),
        "version": pairdex.__version__,
        "rows": given.rows,
        "shards": given.shards,
        **times,
        "target_ms": TARGET_MS,
        "kills": lost,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


@contextmanager
def nodes(count: int) -> Iterator[tuple[str, list[int]]]:
    """Start Ray nodes on this machine; yield the address and the processes that start the actors."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - after the settings

    size = {"num_cpus": 1, "memory": NODE_MEMORY, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**size)
        cluster.wait_for_nodes()
        raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
        yield cluster.address, raylets
    finally:
        cluster.shutdown()


def requests_of(folder: Path) -> Callable[[], bytes]:
    """Return what gives the next request."""
    vectors = np.load(folder / "queries.npz")["image"][:QUERIES].astype(np.float32)
    bodies = [{"vector": vector.tolist(), "k": K, "exact": True} for vector in vectors]
    endless = cycle(load.post("/api/search", json.dumps(body).encode()) for body in bodies)
    return lambda: next(endless)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[int]:
    """Serve in a process of its own; yield the port once every search is warm."""
    command = [sys.executable, "-m", "pairdex", "serve", str(folder), "--port", "0", *options]
    with tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            url = service.ready(Path(log.name), process)
            yield int(url.rsplit(":", 1)[1])
        finally:
            process.terminate()
            process.wait(30)
            sys.stderr.writelines(line for line in log if "an actor was lost" in line)


def latencies(
    folder: Path, address: str, requests: Callable[[], bytes], given: argparse.Namespace
) -> dict[str, Any]:
    """Ask both services by turns, one request at a time."""
    found: dict[str, list[float]] = {"single": [], "cluster": []}
    with ExitStack() as both:
        ports = {
            "single": both.enter_context(serving(folder)),
            "cluster": both.enter_context(serving(folder, "--cluster", address)),
        }
        for turn in range(given.rounds + 1):
            for name, port in ports.items():
                asked = asyncio.run(
                    load.closed_loop(port, requests, connections=1, seconds=given.seconds)
                )
                if set(asked.statuses) != {200}:
                    raise SystemExit(f"the {name} service answered {dict(asked.statuses)}")
                if turn:  # the first only warms up
                    found[name] += asked.seconds
    quantiles = {
        f"{name}_p{q}_ms": round(float(np.quantile(times, q / 100)) * 1e3, 2)
        for name, times in found.items()
        for q in (50, 99)
    }
    return {
        **quantiles,
        "more_ms": round(quantiles["cluster_p50_ms"] - quantiles["single_p50_ms"], 2),
    }


def kills(
    folder: Path,
    address: str,
    raylets: list[int],
    requests: Callable[[], bytes],
    given: argparse.Namespace,
) -> dict[str, Any] | None:
    """Ask at a rate while actors are killed; return how many requests were not answered."""
    if not given.kill_seconds:
        return None
    with serving(folder, "--cluster", address, "--replicas", "2") as port:
        return asyncio.run(_killing(port, raylets, requests, given))


async def _killing(
    port: int, raylets: list[int], requests: Callable[[], bytes], given: argparse.Namespace
) -> dict[str, Any]:
    killed = 0

    async def kill() -> None:
        nonlocal killed
        rng = random.Random(0)
        while True:
            await asyncio.sleep(given.kill_every)
            os.kill(rng.choice(actors_of(raylets)), signal.SIGKILL)
            killed += 1

    killing = asyncio.ensure_future(kill())
    asked = await load.open_loop(
        port, requests, rate=given.rate, seconds=given.kill_seconds, connections=32
    )
    killing.cancel()
    with suppress(asyncio.CancelledError):
        await killing
    total = sum(asked.statuses.values())
    return {
        "killed": killed,
        "asked": total,
        "lost": total - asked.statuses[200],
        **asked.summary(),
    }


def actors_of(raylets: list[int]) -> list[int]:
    """Return the processes of actors with shards that these processes have started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent in raylets and (folder / "cmdline").read_bytes().startswith(b"ray::Holder"):
                found.append(int(folder.name))
    return sorted(found)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    sys.stderr.write(f"{time.perf_counter() - started:.0f} s\n")
