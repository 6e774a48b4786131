"""`pairdex bench`: recall and speed of every way to search a collection."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pairdex
from pairdex.cli.evaluation_tables import print_evaluation
from pairdex.cli.options import (
    CollectionArgument,
    JsonOption,
    KOption,
    OnOption,
    QueriesArgument,
    read_size,
)
from pairdex.cli.output import print_json, print_table, progress_bars
from pairdex.evaluation.bench import DEFAULT_REPEAT
from pairdex.evaluation.evaluate import DEFAULT_K

if TYPE_CHECKING:
    from pairdex.evaluation.bench import Bench

EXAMPLES = (
    "pairdex bench my-collection queries.h5 --gold gold.h5",
    "pairdex bench my-collection queries.npy -k 100 --out results",
    "pairdex bench my-collection queries.h5 --run my_algorithm.py --cpus 8 --memory 24GB",
)

PANELS = {"Others": "run container_results cpus memory python"}

GoldOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Gold standard of the queries (default: compute it, untimed)."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Write SISAP result files below this folder."),
]
RepeatOption = Annotated[
    int,
    typer.Option(metavar="N", help="Search all queries N times; the median time counts."),
]
RunOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADAPTER.py",
        help="Also measure the algorithm in this file, in a process of its own (repeatable). "
        "FILE.py:CLASS picks a class.",
    ),
]
ContainerOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Also compare the result files that containers wrote."),
]
CpusOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of processors of every method (default: all)."),
]
MemoryOption = Annotated[
    int | None,
    typer.Option(
        metavar="SIZE", parser=read_size, help="Memory limit of each adapter, such as 24GB."
    ),
]
PythonOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PYTHON", help="Interpreter that runs the adapters (default: pairdex's own)."
    ),
]


def command(
    collection: CollectionArgument,
    queries: QueriesArgument,
    gold: GoldOption = None,
    k: KOption = DEFAULT_K,
    on: OnOption = "image",
    out: OutOption = None,
    repeat: RepeatOption = DEFAULT_REPEAT,
    run: RunOption = None,
    container_results: ContainerOption = None,
    cpus: CpusOption = None,
    memory: MemoryOption = None,
    python: PythonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the recall and speed of each way to search a collection.

    The ways are the exact search, the approximate index and every projection. Each is timed with all
    queries at once and with one query at a time. Adapters are timed with all queries at once.
    """
    with progress_bars() as progress:
        found = pairdex.bench(
            collection,
            queries,
            gold=gold,
            k=k,
            on=on,
            out=out,
            repeat=repeat,
            run=run or (),
            container_results=container_results,
            cpus=cpus,
            memory=memory,
            python=python,
            progress=progress,
        )
    if as_json:
        print_json(found.as_json())
        return
    _print_bench(found)
    if out is not None:
        sys.stdout.write(f"written to {out}\n")


def _print_bench(found: Bench) -> None:
    print_evaluation(found.evaluation)
    sys.stdout.write("\nOne query at a time:\n")
    print_table(
        ["algorithm", "params", "answered by", "queries", "median", "99th percentile"],
        [
            [
                run.name,
                run.params or "",
                ", ".join(f"{by} {count:,}" for by, count in single.answered_by.items()),
                f"{single.queries:,}",
                _milliseconds(single.median),
                _milliseconds(single.p99),
            ]
            for run, single in zip(found.evaluation.runs, found.single, strict=True)
            if single is not None
        ],
        right={"queries", "median", "99th percentile"},
    )
    sys.stdout.write(
        f"\nwarm, median of {found.repeat} runs, {found.threads} threads, {found.kernel} kernels; "
        "times include projecting the queries\n"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.2f} ms"
