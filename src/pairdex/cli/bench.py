"""`pairdex bench`: recall and speed of every way to search a collection."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.evaluate import print_evaluation
from pairdex.cli.output import JsonOption, print_json, printable, progress_bars
from pairdex.evaluation.bench import DEFAULT_REPEAT, Bench
from pairdex.evaluation.bench import bench as measure
from pairdex.evaluation.evaluate import DEFAULT_K
from pairdex.store.store import Kind


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    queries: Annotated[
        str,
        typer.Argument(
            help="File of query vectors (.npy, .npz, .h5, .fvecs; FILE:NAME picks an array)."
        ),
    ],
    gold: Annotated[
        str | None, typer.Option(help="Their gold standard; made where none is given.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many rows to find.")] = DEFAULT_K,
    on: Annotated[Kind, typer.Option(help="Which vectors to search.")] = "image",
    out: Annotated[
        Path | None, typer.Option(help="Write SISAP's result files below this folder.")
    ] = None,
    repeat: Annotated[
        int, typer.Option(help="How often all queries are searched, for the median time.")
    ] = DEFAULT_REPEAT,
    as_json: JsonOption = False,
) -> None:
    """Search a collection in every way it offers: recall, all queries at once, one at a time."""
    with progress_bars() as progress:
        found = measure(
            collection, queries, gold=gold, k=k, on=on, out=out, repeat=repeat, progress=progress
        )
    if as_json:
        print_json(found.as_json())
        return
    print_evaluation(found.evaluation)
    sys.stdout.write("\none query at a time\n")
    for run, single in zip(found.evaluation.runs, found.single, strict=True):
        sys.stdout.write(
            f"{printable(run.name):<24}  {single.median * 1000:9.2f} ms median  "
            f"{single.p99 * 1000:9.2f} ms 99 %  ({single.queries} queries)\n"
        )
    sys.stdout.write(f"\n{_how(found)}\n")
    if out is not None:
        sys.stdout.write(f"written to {out}\n")


def _how(found: Bench) -> str:
    return (
        f"warm, median of {found.repeat}, {found.threads} threads, kernels {found.kernel}; "
        "queries are projected within the time"
    )
