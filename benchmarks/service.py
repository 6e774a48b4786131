"""How many searches a second a service answers, how soon, and whether its memory stays flat.

    python benchmarks/service.py COLLECTION [--kind vector|text|like] [--workers 1] [--rate 500]
        [--seconds 10] [--json]

Runs `pairdex serve` as a process of its own and asks it from this one over kept connections, k = 20 with
all metadata: a closed loop (each connection asks again when it is answered) for throughput, an open loop
at a rate for latency. Both share the machine: processor time a request is the service's own, that of all
its workers. `--instant` gives the service a search that
answers at once, so that all the rest of a request is measured. `--minutes` asks at the rate for so long
and watches the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import load
import numpy as np

import pairdex

K = 20
SPREAD = 0.3  # of the noise that makes a query of a row: no query is a row itself
QUERIES = {
    "vector": 2_000,
    "text": 30_000,
    "like": 2_000,
}  # different ones: texts are kept by the service
INSTANT = """
import sys
import numpy as np
from pairdex.knn import cosine
from pairdex.cli import main
from pairdex.collection import Collection
rng = np.random.default_rng(1)
def at_once(self, vectors, k=10, **_):
    ids = rng.integers(0, len(self), (len(vectors), k))
    return cosine.Neighbours(ids, np.sort(rng.random(ids.shape), axis=1), cosine.Report(0, 0, 0))
Collection.nearest = at_once
sys.argv[0] = "pairdex"
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path)
    parser.add_argument("--kind", choices=("vector", "text", "like"), default="vector")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--rate", type=float, default=500, help="requests a second, open loop")
    parser.add_argument("--connections", type=int, default=32, help="of the closed loop")
    parser.add_argument("--seconds", type=float, default=10, help="of each loop")
    parser.add_argument("--minutes", type=float, default=0, help="at the rate, watching memory")
    parser.add_argument("--instant", action="store_true", help="a search that answers at once")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    requests = requests_of(asked.collection, asked.kind)
    with serving(asked.collection, asked.workers, instant=asked.instant) as (url, process):
        result = measured(url, process.pid, requests, asked)
    show(result, as_json=asked.json)


def measured(
    url: str, pid: int, requests: Callable[[], bytes], asked: argparse.Namespace
) -> dict[str, Any]:
    port = int(url.rsplit(":", 1)[1])
    one_by_one = asyncio.run(load.closed_loop(port, requests, connections=1, seconds=2))
    used = cpu_seconds(pid)
    full = asyncio.run(
        load.closed_loop(port, requests, connections=asked.connections, seconds=asked.seconds)
    )
    used = cpu_seconds(pid) - used
    memory = [resident_mb(pid)]
    at_rate = asyncio.run(steady(port, requests, asked, pid, memory))
    return {
        "kind": asked.kind,
        "workers": asked.workers,
        "alone": one_by_one.summary(),
        f"{asked.connections} connections": full.summary(),
        f"{asked.rate:g} a second": at_rate.summary(),
        "cpu_us_a_request": round(used / max(1, len(full.seconds)) * 1e6),
        "stage_ms": stages(url),
        "memory_mb": memory,
    }


async def steady(
    port: int,
    requests: Callable[[], bytes],
    asked: argparse.Namespace,
    pid: int,
    memory: list[float],
) -> load.Load:
    """Ask at the rate; note the memory every thirty seconds."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(30)
            memory.append(resident_mb(pid))

    watching = asyncio.ensure_future(watch())
    seconds = asked.minutes * 60 or asked.seconds
    found = await load.open_loop(port, requests, rate=asked.rate, seconds=seconds, connections=64)
    watching.cancel()
    memory.append(resident_mb(pid))
    return found


def requests_of(collection: Path, kind: str) -> Callable[[], bytes]:
    """Return what gives the next request."""
    bodies = list(itertools.islice(bodies_of(pairdex.open(collection), kind), QUERIES[kind]))
    endless = itertools.cycle(
        load.post("/api/search", json.dumps({**body, "k": K}).encode()) for body in bodies
    )
    return lambda: next(endless)


def bodies_of(collection: pairdex.Collection, kind: str) -> Iterator[dict[str, Any]]:
    rng, words = np.random.default_rng(7), random.Random(7)
    while True:
        row = int(rng.integers(0, len(collection)))
        if kind == "text":
            yield {"text": " ".join(words.sample(load.WORDS, 5))}
        elif kind == "like":
            yield {"like": row}
        else:
            vector = collection.vectors()[row].astype(np.float32)
            noise = rng.standard_normal(len(vector)).astype(np.float32)
            noise *= SPREAD * np.linalg.norm(vector) / np.linalg.norm(noise)
            yield {"vector": [round(float(value), 6) for value in vector + noise]}


@contextmanager
def serving(
    collection: Path, workers: int, *, instant: bool
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    program = ["-c", INSTANT] if instant else ["-m", "pairdex"]
    options = ["--port", "0", *(["--workers", str(workers)] if workers > 1 else [])]
    with tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, *program, "serve", str(collection), *options], stderr=log
        )
        try:
            yield ready(Path(log.name), process), process
        finally:
            process.terminate()
            process.wait(30)


def ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait for the service to be warm; return its URL."""
    while process.poll() is None:
        found = re.search(r"serving (http://\S+)", log.read_text())
        try:
            if found and urllib.request.urlopen(f"{found[1]}/health").status == 200:
                return found[1]
        except urllib.error.HTTPError:
            pass
        time.sleep(0.02)
    raise SystemExit(log.read_text())


def stages(url: str) -> dict[str, float]:
    """Return the mean time of each stage since the start."""
    text = urllib.request.urlopen(f"{url}/metrics").read().decode()
    found = {}
    for stage, total in re.findall(r'pairdex_stage_seconds_sum\{stage="(\w+)"\} (\S+)', text):
        count = re.search(rf'pairdex_stage_seconds_count\{{stage="{stage}"\}} (\d+)', text)
        assert count is not None
        found[stage] = round(float(total) / int(count[1]) * 1e3, 3)
    return found


def resident_mb(pid: int) -> float:
    """Return the memory that is the processes' own, without the files that they map."""
    texts = [Path(f"/proc/{one}/status").read_text() for one in family(pid)]
    kilobytes = [int(re.search(r"RssAnon:\s+(\d+)", text)[1]) for text in texts]  # type: ignore[index]
    return round(sum(kilobytes) / 1024, 1)


def cpu_seconds(pid: int) -> float:
    used = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / 100


def family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:>16}  {value}")


if __name__ == "__main__":
    main()
