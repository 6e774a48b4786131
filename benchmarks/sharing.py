"""How long a pull over HTTP takes, beside the plain copy of the same files.

    python benchmarks/sharing.py [--rows 400000] [--turns 5]

It builds a collection of random vectors of 512 dimensions, pushes it to a folder, and serves that by nginx
(needed, as is curl) on the loopback. Four curl at once with a `sync` are the plain copy: a pull writes its
files durably, too. Both run by turns. Target: a pull takes at most 1.25 times as long.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pairdex
from pairdex.work.machine import machine

DIM, PARTS, JOBS = 512, 4, 4
TARGET = 0.8

CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 2; events {{}}
http {{ access_log off; sendfile on; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/published; }} }}
"""


def build(folder: Path, rows: int) -> Path:
    parts = folder / "parts"
    parts.mkdir()
    for number in range(PARTS):
        count = rows // PARTS
        vectors = np.random.default_rng(number).standard_normal((count, DIM)).astype(np.float16)
        np.save(parts / f"img_emb_{number}.npy", vectors)
        np.save(parts / f"text_emb_{number}.npy", vectors[::-1])
        urls = [f"https://example.org/{number}/{row}.jpg" for row in range(count)]
        pq.write_table(pa.table({"url": urls}), parts / f"metadata_{number}.parquet")
    pairdex.build(parts, folder / "collection")
    shutil.rmtree(parts)
    return folder / "collection"


def copy(url: str, names: list[str], target: Path) -> None:
    lines = "\n".join(names).encode()
    each = ["curl", "-sf", "--create-dirs", "-o", f"{target}/{{}}", f"{url}/{{}}"]
    subprocess.run(["xargs", f"-P{JOBS}", "-I{}", *each], input=lines, check=True)
    subprocess.run(["sync", *(target / name for name in names)], check=True)


def seconds_of(work: Callable[[], object], target: Path) -> float:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def measure(folder: Path, rows: int, turns: int) -> dict[str, object]:
    collection, published = build(folder, rows), folder / "published"
    pushed = pairdex.push(collection, f"file://{published}")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # nginx reads as another user
    port = free_port()
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port))
    server = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
    try:
        time.sleep(0.5)
        url, names = f"http://127.0.0.1:{port}", []
        for path in published.rglob("*"):
            names += [path.relative_to(published).as_posix()] if path.is_file() else []
        copies, pulls = [], []
        for turn in range(turns):
            target = folder / f"copy{turn}"
            copies.append(seconds_of(lambda t=target: copy(url, names, t), target))  # type: ignore[misc]
            pulls.append(seconds_of(lambda t=target: pairdex.pull(url, t), target))  # type: ignore[misc]
    finally:
        server.terminate()
        server.wait()
    plain, pulled = statistics.median(copies), statistics.median(pulls)
    return {
        "machine": machine(),
        "bytes": pushed.bytes,
        "push_seconds": pushed.seconds,
        "copy_seconds": plain,
        "pull_seconds": pulled,
        "share_of_copy": plain / pulled,
        "reached": plain / pulled >= TARGET,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as made:
        result = measure(Path(made).resolve(), given.rows, given.turns)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
