"""Whether a service stays right and quick for long while its collections change and it is killed.

    python benchmarks/soak.py --minutes 30 --rate 200 [--rows 100000] [--dim 512] [--parts FOLDER] [--json]

Serves two collections: one of `--rows` made-up rows (or of the parts in `--parts`), and one of drawn
pictures, which texts are asked of. It asks at a rate, by an open loop: vectors, likes, filters, texts,
keywords, folding, facets, downloads and rows. Meanwhile, in turn, every `--every` seconds: rows are
removed, a part is added, the index is updated, the service is killed (-9) and started again.

It reports the errors, with those of the seconds in which the service was down apart; removed rows that
came back; memory and descriptors; the times of each kind of request; the p99 of the ten seconds after
each change beside that of the rest; and the time from a start to ready. The exit status is 1 if a request
failed while the service was up, or a removed row came back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import load
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairdex
from pairdex.demo.pictures import draw_pictures

CLUSTERS, ADDED_ROWS, REMOVED_ROWS = 200, 1_000, 20
AFTER_SECONDS = 10.0  # in which a change may slow requests down
GRACE_SECONDS = 3.0  # after which a running service must have noticed a removal
CHANGES = ("remove", "add", "index", "kill")
SHARES = {
    "vector": 25, "like": 20, "filter": 12, "text": 15, "keywords": 8,
    "folding": 4, "facets": 3, "download": 3, "items": 7, "health": 3,
}  # fmt: skip


@dataclass
class Seen:
    """All that was measured; times in seconds since the start."""

    times: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    failed: list[tuple[str, float]] = field(default_factory=list)
    came_back: list[int] = field(default_factory=list)
    changes: list[tuple[str, float, float]] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


class Service:
    """`pairdex serve` as a process of its own, always on the same port."""

    def __init__(self, folders: list[Path], log: Path) -> None:
        self._folders, self._log, self.port = folders, log, free_port()

    def start(self) -> float:
        """Start it, wait until it is ready, and return the seconds that took."""
        begun = time.perf_counter()
        command = [sys.executable, "-m", "pairdex", "serve", *map(str, self._folders)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port)], stderr=log)
        while not self._is_ready():
            if self.process.poll() is not None:
                raise SystemExit(self._log.read_text())
            time.sleep(0.01)
        return time.perf_counter() - begun

    def _is_ready(self) -> bool:
        if "serving http" not in self._log.read_text():
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health") as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def measure(self, seen: Seen) -> None:
        """Note the memory that is its own, and its open descriptors."""
        place = Path(f"/proc/{self.process.pid}")
        try:
            said = (place / "status").read_text()
            seen.memory_mb.append(int(re.findall(r"RssAnon:\s+(\d+)", said)[0]) / 1024)
            seen.descriptors.append(len(list((place / "fd").iterdir())))
        except (OSError, IndexError):
            return  # it is being killed


def free_port() -> int:
    """Return a free port below those that the system gives to clients.

    While nothing listens there, a client on one of those could be connected to itself.
    """
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit("soak: no port between 20,000 and 30,000 is free")


class Asked:
    """What is asked: requests of each kind, drawn at random."""

    def __init__(self, big: Path, vectors: np.ndarray, pictures: Path) -> None:
        self._big, self._pictures, self._vectors = big.name, pictures.name, vectors
        self._random = random.Random(4)
        self._live = set(range(len(vectors)))
        self.ids = sorted(self._live)  # that may be asked for: nobody has removed them

    def draw(self) -> tuple[str, bytes]:
        """Return a kind and a request of it."""
        kind = self._random.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "health":
            return kind, load.get("/health")
        path, body = self._body(kind)
        return kind, load.post(path, json.dumps(body).encode())

    def _body(self, kind: str) -> tuple[str, dict[str, Any]]:
        big: dict[str, Any] = {"collection": self._big, "safe": False}
        row = self._random.choice(self.ids)
        word = self._random.choice(load.WORDS)
        like = {**big, "like": row}
        if kind == "text":
            words = " ".join(self._random.sample(load.WORDS, 3))
            return "/api/search", {"collection": self._pictures, "text": words, "k": 20}
        if kind == "facets":
            return "/api/facets", {**big, "where": f"width > {self._random.randrange(900)}"}
        if kind == "items":
            return "/api/items", {"collection": self._big, "ids": [row]}
        if kind == "download":
            return "/api/download", {**like, "k": 200, "format": "jsonl"}
        further: dict[str, dict[str, Any]] = {
            "vector": {**big, "vector": self._near(row)},
            "like": like,
            "filter": {**like, "where": f"width > {self._random.randrange(900)}"},
            "keywords": {**like, "keywords": word},
            "folding": {**like, "fold": 0.06},
        }
        return "/api/search", {**further[kind], "k": 20}

    def _near(self, row: int) -> list[float]:
        noise = np.random.default_rng(row).standard_normal(self._vectors.shape[1]) * 0.02
        return [round(float(value), 5) for value in self._vectors[row] + noise]

    def without(self, removed: set[int]) -> None:
        """Stop asking for rows that are about to be removed."""
        self._live -= removed
        self.ids = sorted(self._live)


def make_part(
    folder: Path, number: int, rows: int, dim: int, schema: pa.Schema | None = None
) -> np.ndarray:
    """Write a part of clustered vectors with captions of a few words, and nulls in the other columns."""
    rng = np.random.default_rng(number)
    centres = np.random.default_rng(1).standard_normal((CLUSTERS, dim))
    vectors = centres[rng.integers(0, CLUSTERS, rows)] + rng.standard_normal((rows, dim)) * 0.6
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"img_emb_{number}.npy", vectors)
    np.save(folder / f"text_emb_{number}.npy", vectors[::-1])
    words = rng.integers(0, len(load.WORDS), (rows, 4))
    columns = {
        "url": [f"http://example.org/{number}/{row}.jpg" for row in range(rows)],
        "caption": [" ".join(load.WORDS[word] for word in some) for some in words],
        "width": rng.integers(64, 1024, rows),
    }
    table = pa.table(columns)
    if schema is not None:
        table = pa.table([column_of(table, field) for field in schema], schema=schema)
    pq.write_table(table, folder / f"metadata_{number}.parquet")
    return vectors


def column_of(table: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name.lower() in table.column_names:
        return table[field.name.lower()].cast(field.type)
    return pa.nulls(len(table), field.type)


def prepare(asked: argparse.Namespace, place: Path) -> tuple[Path, Path, np.ndarray]:
    """Make both collections; return them and the vectors of the big one."""
    big, pictures = place / "big", place / "drawn"
    parts = asked.parts or place / "parts"
    if asked.parts is None:
        make_part(parts, 0, asked.rows, asked.dim)
    pairdex.build(parts, big, nsfw="none")
    pairdex.index(big)
    draw_pictures(place / "pictures", count=asked.pictures, seed=1)
    pairdex.encode(place / "pictures", place / "encoded", model="demo")
    pairdex.build(place / "encoded", pictures)
    return big, pictures, np.asarray(pairdex.open(big).vectors("image")[:])


def schema_of(parts: Path) -> pa.Schema:
    """Return the columns of the first part's metadata, which added parts must have."""
    return pq.read_schema(min(parts.rglob("metadata*.parquet")))


def run(*arguments: object) -> None:
    """Run a command as others do who share the machine with the service."""
    command = ["nice", sys.executable, "-m", "pairdex", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pairdex {arguments[0]} failed: {done.stderr}")


class Soak:
    """One run."""

    def __init__(self, asked: argparse.Namespace, place: Path) -> None:
        self.asked, self.place, self.seen = asked, place, Seen()
        self.big, pictures, vectors = prepare(asked, place)
        self.dim = vectors.shape[1]
        self.schema = schema_of(asked.parts) if asked.parts else None
        self.requests = Asked(self.big, vectors, pictures)
        self.service = Service([self.big, pictures], place / "log")
        self.seen.ready_seconds.append(self.service.start())
        self.removed: dict[int, float] = {}  # id, and when the removal had ended
        self.begun = time.perf_counter()

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.begun

    async def run(self) -> None:
        """Ask and change until the time is over."""
        changing = asyncio.create_task(self._change())
        watching = asyncio.create_task(self._watch())
        seconds = self.asked.minutes * 60
        free: list[load.Wire] = []
        running: set[asyncio.Task[None]] = set()
        for due in load.arrivals(self.begun, self.asked.rate, seconds):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self._ask(free, due))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        watching.cancel()
        await changing

    async def _ask(self, free: list[load.Wire], due: float) -> None:
        kind, request = self.requests.draw()
        since = due - self.begun
        status, wire = 0, None
        try:
            if free:
                wire = free.pop()
                status = await asyncio.wait_for(wire.ask(request), 60)
            if not status:  # there is none, or the service has closed it meanwhile
                wire = await load.Wire.connect(self.service.port)
                status = await asyncio.wait_for(wire.ask(request), 60)
        except (OSError, asyncio.TimeoutError):
            pass
        if status == 200 and wire is not None:
            self.seen.times[kind].append((since, time.perf_counter() - due))
            self._check(kind, wire.body, since)
            free.append(wire)
        else:
            self.seen.failed.append((f"{kind} {status}", since))

    def _check(self, kind: str, body: bytes, since: float) -> None:
        """Note removed rows in an answer to what was asked well after their removal."""
        if not self.removed or kind in ("text", "facets", "health", "download"):
            return
        answer = json.loads(body)
        for row in answer.get("hits") or answer.get("items") or []:
            ended = self.removed.get(row["id"])
            if ended is not None and since > ended + GRACE_SECONDS:
                self.seen.came_back.append(row["id"])

    async def _watch(self) -> None:
        while True:
            self.service.measure(self.seen)
            await asyncio.sleep(5)

    async def _change(self) -> None:
        number = 0
        while self.now() + self.asked.every < self.asked.minutes * 60:
            await asyncio.sleep(self.asked.every)
            change = CHANGES[number % len(CHANGES)]
            begun = self.now()
            work: Callable[[int], None] = getattr(self, f"_{change}")
            await asyncio.to_thread(work, number)
            self.seen.changes.append((change, begun, self.now()))
            number += 1

    def _remove(self, number: int) -> None:
        rng = random.Random(number)
        ids = set(rng.sample(self.requests.ids, REMOVED_ROWS))
        self.requests.without(ids)
        listed = self.place / "ids.txt"
        listed.write_text("\n".join(map(str, ids)))
        run("remove", self.big, "--ids", listed, "--reason", "soak")
        self.removed |= dict.fromkeys(ids, self.now())

    def _add(self, number: int) -> None:
        folder = self.place / f"more-{number}"
        make_part(folder, 10_000 + number, ADDED_ROWS, self.dim, self.schema)
        run("build", folder, self.big, "--nsfw", "none")

    def _index(self, _: int) -> None:
        run("index", self.big)

    def _kill(self, _: int) -> None:
        self.service.process.send_signal(signal.SIGKILL)
        self.service.process.wait()
        self.seen.ready_seconds.append(self.service.start())


def errors(seen: Seen, *, while_down: bool) -> Counter[str]:
    """Count the requests that failed: those sent while the service was down, or the others."""
    kills = [(begun - 1, ended) for change, begun, ended in seen.changes if change == "kill"]
    return Counter(
        what
        for what, since in seen.failed
        if any(begun <= since <= ended for begun, ended in kills) == while_down
    )


def report(seen: Seen, seconds: float) -> dict[str, Any]:
    """Return the figures of a run."""
    every = [one for some in seen.times.values() for one in some]
    return {
        "minutes": round(seconds / 60, 2),
        "answered": len(every),
        "errors": dict(errors(seen, while_down=False)),
        "errors_while_down": dict(errors(seen, while_down=True)),
        "removed_rows_that_came_back": len(seen.came_back),
        "memory_mb": [round(value) for value in seen.memory_mb[:: len(seen.memory_mb) // 10 + 1]],
        "descriptors": seen.descriptors[:: len(seen.descriptors) // 10 + 1],
        "ready_seconds": [round(value, 2) for value in seen.ready_seconds],
        "ms": {kind: quantiles(some) for kind, some in sorted(seen.times.items())},
        "ms_after": after_changes(every, seen.changes),
    }


def quantiles(some: list[tuple[float, float]]) -> dict[str, float]:
    times = np.array([took for _, took in some]) * 1e3
    named = {f"p{q}": round(float(np.quantile(times, q / 100)), 1) for q in (50, 99)}
    return {"count": len(some), **named, "max": round(float(times.max()), 1)}


def after_changes(
    every: list[tuple[float, float]], changes: list[tuple[str, float, float]]
) -> dict[str, dict[str, float]]:
    """Return the times of requests during and soon after each kind of change, and of the rest."""
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for since, took in every:
        near = [c for c, begun, ended in changes if begun <= since <= ended + AFTER_SECONDS]
        groups[near[0] if near else "nothing"].append((since, took))
    return {name: quantiles(some) for name, some in sorted(groups.items())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--parts", type=Path, help="parts to build instead of made-up rows")
    parser.add_argument("--pictures", type=int, default=2_000, help="drawn, for texts")
    parser.add_argument("--every", type=float, default=60, help="seconds between changes")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairdex-soak-") as folder:
        soak = Soak(asked, Path(folder))
        try:
            asyncio.run(soak.run())
        finally:
            soak.service.process.kill()
            soak.service.process.wait()
        made = report(soak.seen, soak.now())
    if asked.json:
        print(json.dumps(made))
    else:
        for name, value in made.items():
            print(f"{name:>28}  {value}")
    sys.exit(1 if errors(soak.seen, while_down=False) or soak.seen.came_back else 0)


if __name__ == "__main__":
    main()
