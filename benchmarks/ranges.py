"""What is fetched of a collection that is opened at an address, action by action.

    python benchmarks/ranges.py COLLECTION

It pushes the collection to a folder, serves that by nginx (needed) on the loopback, opens the address with an empty
cache, and counts the requests and bytes that nginx sent for each action. The collection should have an index.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pairdex
from sharing import CONFIG, free_port

NUMBER_COLUMN = "width"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        pushed = pairdex.push(given.collection, f"file://{folder}/published")
        print(f"{len(pairdex.open(given.collection)):,} rows, {pushed.bytes:,} bytes\n")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # nginx reads as another user
        port = free_port()
        config = CONFIG.format(folder=folder, port=port)
        log = f"access_log {folder}/sent.log"
        (folder / "nginx.conf").write_text(config.replace("access_log off", log))
        server = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
        try:
            time.sleep(0.5)
            os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
            measure(f"http://127.0.0.1:{port}", folder / "sent.log")
        finally:
            server.terminate()
            server.wait()


def measure(url: str, log: Path) -> None:
    """Print a line for each action."""
    sent = Sent(log)
    opened = pairdex.open(url)
    print("| | requests | bytes |\n|---|---|---|")
    sent.show("open it")
    query = np.zeros(opened.dim, np.float32)
    actions: dict[str, Callable[[], object]] = {
        "`c[5]`": lambda: opened[5],
        "`c[5]` again": lambda: opened[5],
        f"a filter on `{NUMBER_COLUMN}`, five rows": lambda: opened.search(
            where=f"{NUMBER_COLUMN} > 1000", k=5
        ),
        "ten rows, spread": lambda: opened.take(np.linspace(0, len(opened) - 1, 10).astype(int)),
        "one vector": lambda: query.__iadd__(opened.vectors()[len(opened) // 2]),
        "a search among 500 rows": lambda: opened.nearest(query, 10, where="id < 500"),
        "the first search by the index": lambda: opened.nearest(query, 10),
        "`c.search(like=70)` by the index, with its ten rows": lambda: opened.search(like=70),
        "a certified search": lambda: opened.nearest(query, 10, exact=True),
    }
    for name, action in actions.items():
        action()
        sent.show(name)


class Sent:
    """What nginx logged since the last look."""

    def __init__(self, log: Path) -> None:
        self._log, self._seen = log, 0

    def show(self, name: str) -> None:
        """Print the requests and bytes since the last call."""
        time.sleep(0.2)  # a line is written after its answer
        lines = self._log.read_text().splitlines()
        new, self._seen = lines[self._seen :], len(lines)
        total = sum(int(line.split('"')[2].split()[1]) for line in new)
        print(f"| {name} | {len(new)} | {total:,} |")


if __name__ == "__main__":
    main()
