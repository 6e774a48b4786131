"""`pairdex pairs`: all pairs of rows within a distance."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import ClusterOption, CollectionArgument, JsonOption, OnOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.wording import duration

EXAMPLES = (
    "pairdex pairs my-collection --within 0.06 --out pairs.parquet",
    "pairdex pairs test-set --against train-set --within 0.05 --out leaked.parquet",
)

WithinOption = Annotated[
    float,
    typer.Option(metavar="DISTANCE", help="Largest cosine distance (1 - cos) of a pair, 0 to 1."),
]
OutOption = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="Write id, other_id and distance of every pair to this .parquet file."
    ),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OTHER", help="Find pairs of a row of COLLECTION and a row of this collection."
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Compare only rows of COLLECTION that match this condition."),
]
AgainstWhereOption = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Compare only rows of OTHER that match this condition."),
]


def command(
    collection: CollectionArgument,
    within: WithinOption,
    out: OutOption,
    against: AgainstOption = None,
    on: OnOption = "image",
    where: WhereOption = None,
    against_where: AgainstWhereOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find all pairs of rows within a distance, exactly.

    Each pair is written once, the smaller id first, ordered by id. Run the same command again to
    resume.
    """
    with progress_bars() as progress:
        found = pairdex.pairs(
            collection,
            out,
            within=within,
            against=against,
            on=on,
            where=where,
            against_where=against_where,
            cluster=cluster,
            progress=progress,
        )
    if as_json:
        print_json(asdict(found))
        return
    print_lines(
        {
            "pairs": found.pairs,
            "rows": found.rows,
            **({} if found.other_rows is None else {"other rows": found.other_rows}),
            "within": found.within,
            "time": duration(found.seconds),
            "written to": out,
        }
    )
