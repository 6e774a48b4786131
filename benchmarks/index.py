"""Approximate search beside other libraries, on data like CLIP's, by image and by text.

    python benchmarks/index.py [--data 300000] [--cache DIR] [--kinds lists,graph] [--peers NAMES] [--peers-python PYTHON]
        [--skip-peers NAMES] [--again] [--k 10] [--threads 2] [--json] [--plot FILE]

`--data` is a number of rows made by `clip_like.py`, or `real`: the real ViT-B/32 vectors, of which 1,000
images and 1,000 texts are held out as queries. Every library is built and swept in a process of its own,
one after the other (`index_peers.py` says how to install them), and what it measured is kept in the cache,
so that a long run can go on; `--again` measures again. Reported are, for image and text queries, the figures
at recall@10 of .90, .95, .97 and .99, between neighbouring operating points, null where no effort reaches
it. Compare ratios of one run on a quiet machine, not figures between machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import index_ours
from index_peers import PEERS
from index_points import KINDS, LEVELS, at_recall, front
from index_sets import REAL, make_set

from pairdex.evaluation.plot import check_plot, plot_runs
from pairdex.evaluation.runs import Run, View
from pairdex.work.processors import usable_processors

HERE = Path(__file__).resolve().parent
PEER_SECONDS = 1800  # a library that needs longer is left out
FIGURES = ("qps_batch", "p50_ms", "p99_ms")
OPENBLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")

# Our own entries, by name: from the folder of a set, k and threads to an object like those of
# `index_peers.py`: name, version, parameters, build_seconds, bytes_a_row, points.
OURS: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "pairdex-fast": partial(index_ours.measure, "fast"),
    "pairdex-compact": partial(index_ours.measure, "compact"),
    "pairdex-graph": partial(index_ours.measure_graph, "fast"),
    "pairdex-graph-compact": partial(index_ours.measure_graph, "compact"),
}
OF_KIND = {
    "lists": ("pairdex-fast", "pairdex-compact"),
    "graph": ("pairdex-graph", "pairdex-graph-compact"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "pairdex-benchmarks"
    )
    parser.add_argument("--data", default="300000", help=f"a number of rows, or {REAL}")
    parser.add_argument("--kinds", default=",".join(OF_KIND), help="of our own: lists, graph")
    parser.add_argument("--peers", default=",".join(PEERS), help='"" for none')
    parser.add_argument("--skip-peers", default="")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=usable_processors())
    parser.add_argument("--again", action="store_true", help="measure what the cache has, too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, help="a PNG or SVG file")
    arguments = parser.parse_args()
    check(parser, arguments)
    report = measure(arguments)
    print(json.dumps(report) if arguments.json else as_table(report))
    if arguments.plot:
        plot(report, arguments.plot)


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.data != REAL and not arguments.data.isdecimal():
        parser.error(f"--data is {arguments.data!r}, expected a number of rows or {REAL}")
    for kind in names(arguments.kinds):
        if kind not in OF_KIND:
            parser.error(f"unknown kind {kind!r}; expected one of {', '.join(OF_KIND)}")
    for name in names(arguments.peers) + names(arguments.skip_peers):
        if name not in PEERS:
            parser.error(f"unknown peer {name!r}; expected one of {', '.join(PEERS)}")
    if arguments.plot:
        check_plot(arguments.plot)


def names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    folder = make_set(arguments.cache, arguments.data, arguments.shared)
    skipped = names(arguments.skip_peers)
    measured, missing = [], {}
    ours = [name for kind in names(arguments.kinds) for name in OF_KIND[kind]]
    for name in [*ours, *names(arguments.peers)]:
        if name in skipped:
            continue
        try:
            measured.append(with_levels(kept_or_run(name, folder, arguments)))
        except subprocess.CalledProcessError as error:
            missing[name] = (error.stderr.strip().splitlines() or ["no message"])[-1]
        except subprocess.TimeoutExpired:
            missing[name] = f"took more than {PEER_SECONDS} s"
    return {
        "machine": machine(),
        "threads": arguments.threads,
        "data": arguments.data,
        "k": arguments.k,
        "measured": measured,
        "missing": missing,
    }


def kept_or_run(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return a library's result from the cache, or measure it and keep it there."""
    kept = folder / "results" / f"{name}-k{arguments.k}-t{arguments.threads}.json"
    if kept.exists() and not arguments.again:
        return json.loads(kept.read_text())
    if name in OURS:
        result = OURS[name](folder, arguments.k, arguments.threads)
    else:
        result = run_peer(name, folder, arguments)
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(result))
    return result


def run_peer(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [arguments.peers_python, HERE / "index_peers.py", name, folder]
    command += ["--threads", str(arguments.threads), "--k", str(arguments.k)]
    done = subprocess.run(
        command,
        env=environment(name, arguments.threads),
        capture_output=True,
        text=True,
        timeout=PEER_SECONDS,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])  # libraries print while they build


def environment(name: str, threads: int) -> dict[str, str]:
    """Return the environment in which a library is fastest."""
    own = {key: value for key, value in os.environ.items() if key not in OPENBLAS}
    own["OMP_NUM_THREADS"] = str(threads)
    if name.startswith("faiss") and "avx512f" in cpu("flags"):
        own["OPENBLAS_CORETYPE"] = "SKYLAKEX"  # its OpenBLAS takes newer processors for older ones
    return own


def with_levels(result: dict[str, Any]) -> dict[str, Any]:
    at = {
        kind: {
            f"{level:.2f}": {
                figure: rounded(at_recall(result["points"], kind, level, figure))
                for figure in FIGURES
            }
            for level in LEVELS
        }
        for kind in KINDS
    }
    return result | {"at": at}


def rounded(figure: float | None) -> float | None:
    return None if figure is None else float(f"{figure:.4g}")


def as_table(report: dict[str, Any]) -> str:
    """Write the report in Markdown: a table of queries a second, one of latencies, what is missing."""
    lines = [
        f"{report['data']} rows, recall@{report['k']}, {report['threads']} threads, {report['machine']}"
    ]
    columns = [(kind, f"{level:.2f}") for kind in KINDS for level in LEVELS]
    for figure in FIGURES:
        lines += ["", f"**{figure}**", ""]
        lines.append(
            "| | build s | bytes a row | " + " | ".join(f"{k} {at}" for k, at in columns) + " |"
        )
        lines.append("|---|" + "---:|" * (2 + len(columns)))
        for one in report["measured"]:
            cells = [cell(one["at"][kind][level][figure]) for kind, level in columns]
            head = [one["name"], f"{one['build_seconds']:.1f}", f"{one['bytes_a_row']:.0f}"]
            lines.append("| " + " | ".join(head + cells) + " |")
        lines.append(
            "| best | | | " + " | ".join(best(report, *at, figure) for at in columns) + " |"
        )
    lines += [f"\nleft out: {name}: {reason}" for name, reason in report["missing"].items()]
    return "\n".join(lines)


def best(report: dict[str, Any], kind: str, level: str, figure: str) -> str:
    """Return the best figure at a recall, and whose it is."""
    reached = {one["name"]: one["at"][kind][level][figure] for one in report["measured"]}
    reached = {name: value for name, value in reached.items() if value is not None}
    choose = min if figure.endswith("_ms") else max
    if not reached:
        return "none"
    name = choose(reached, key=reached.__getitem__)
    return f"{cell(reached[name])} {name}"


def cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3f}"


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw the operating points that none of the same library surpasses, image and text side by side."""
    views = [
        View(as_run(report, one, kind, recall, qps), kind, recall)
        for kind in KINDS
        for one in report["measured"]
        for recall, qps in front(one["points"], kind, "qps_batch")
    ]
    plot_runs(path, views, k=report["k"], thresholds=())


def as_run(
    report: dict[str, Any], one: dict[str, Any], kind: str, recall: float, qps: float
) -> Run:
    return Run(
        file="",
        algo=one["name"],
        params=None,
        data=None,
        size=one["rows"],
        task=None,
        dataset=None,
        queries=kind,
        n=1000,
        k=report["k"],
        recall=recall,
        recall_ties=recall,
        qps=qps,
        buildtime=one["build_seconds"],
        querytime=None,
        optimtime=None,
    )


def machine() -> str:
    return cpu("model name") or platform.machine()


def cpu(fact: str) -> str:
    """Return what the system says of its first processor, or nothing."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    found = [line.split(":", 1)[1].strip() for line in lines if line.startswith(fact)]
    return found[0] if found else ""


if __name__ == "__main__":
    main()
