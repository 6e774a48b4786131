"""How much memory `pairdex index` takes, by the number of rows (Linux).

    python benchmarks/index_memory.py COLLECTION... [--memory SIZE] [--json]

A separate process indexes each collection, beside its files; the existing index stays as it is. The figure is
the peak of the process' anonymous memory, sampled every hundredth of a second: the memory that it needs. The pages
of the mapped vectors and of the file that it writes belong to the system, which reclaims them when memory is short.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--memory", help="as pairdex index takes it: 1GB")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    runs = [measure(each.resolve(), arguments.memory) for each in arguments.collections]
    if arguments.json:
        print(json.dumps({"runs": runs}))
        return
    print("| rows | size | index | seconds | memory |\n|---|---|---|---|---|")
    for run in runs:
        print(
            f"| {run['rows']:,} | {run['size']} | {run['bytes'] / 1e6:,.0f} MB "
            f"| {run['seconds']:.1f} | {run['peak_bytes'] / 1e6:,.0f} MB |"
        )


def measure(collection: Path, memory: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=collection.parent) as folder:
        for path in collection.iterdir():
            if path.name != "indexes":
                (Path(folder) / path.name).symlink_to(path)
        command = [sys.executable, "-m", "pairdex", "index", folder, "--json"]
        if memory is not None:
            command += ["--memory", memory]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        peak = 0
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(_LOOK_SECONDS)
        assert process.stdout is not None
        printed = process.stdout.read()
        if process.returncode:
            sys.exit(process.returncode)
    report = json.loads(printed)
    return {
        **{key: report[key] for key in ("rows", "size", "bytes", "seconds")},
        "peak_bytes": peak,
    }


def anonymous_bytes(process: int) -> int:
    """Return how much memory a process has that no file stands for; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    kilobytes = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0


if __name__ == "__main__":
    main()
