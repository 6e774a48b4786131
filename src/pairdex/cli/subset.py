"""`pairdex subset`: a new collection of some rows of another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import (
    ClusterOption,
    CollectionArgument,
    JsonOption,
    NewArgument,
    PartsOption,
    WorkersOption,
)
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.store.fields import DEFAULT_SEED
from pairdex.wording import duration

EXAMPLES = (
    'pairdex subset my-collection large-pictures --where "width >= 1024"',
    "pairdex subset my-collection test-set --sample 10000 --seed 7",
)

WhereOption = Annotated[
    str | None,
    typer.Option(metavar="SQL", help='Keep only rows that match, such as "width >= 512".'),
]
WithoutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Leave out the rows whose ids are in FILE (.h5 of queries, .npy, .txt).",
    ),
]
SampleOption = Annotated[
    int | None, typer.Option(metavar="N", help="Draw N rows at random (default: keep all).")
]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Random seed of --sample.")]
LimitOption = Annotated[
    int | None, typer.Option(metavar="N", help="Keep only the first N rows (default: all).")
]


def command(
    collection: CollectionArgument,
    new: NewArgument,
    parts: PartsOption = None,
    where: WhereOption = None,
    without: WithoutOption = None,
    sample: SampleOption = None,
    seed: SeedOption = DEFAULT_SEED,
    limit: LimitOption = None,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new collection from some rows of another.

    The filters apply in the order listed below. Rows keep their order, vectors and columns, and get
    new ids. Run the same command again to resume.
    """
    with progress_bars() as progress:
        report = pairdex.subset(
            collection,
            new,
            parts=parts,
            where=where,
            without=without,
            sample=sample,
            seed=seed,
            limit=limit,
            workers=workers,
            cluster=cluster,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "collection": new,
            "rows": report.rows,
            "added": report.added,
            "rows read": report.rows_read,
            "parts": report.parts,
            "dimensions": report.dim,
            "time": duration(report.seconds),
        }
    )
