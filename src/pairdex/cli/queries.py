"""`pairdex queries`: hold out queries of a collection, by SISAP's rule."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import JsonOption, NoCodesOption, OnOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.reference.queries import DEFAULT_N
from pairdex.wording import duration

EXAMPLES = (
    "pairdex queries my-collection --out queries.h5 -n 1000",
    "pairdex queries held-out --against my-collection --out queries.h5 --distinct",
)

DrawnArgument = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="Folder of the collection to draw from.")
]
OutOption = Annotated[
    Path,
    typer.Option(metavar="FILE", help="HDF5 file to write, with the datasets emb and ids."),
]
CountOption = Annotated[int, typer.Option("-n", metavar="N", help="Number of queries.")]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Random seed.", min=0)]
DistinctOption = Annotated[
    bool,
    typer.Option(
        "--distinct", help="Leave out queries within a cosine distance of 1e-4 of another query."
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]
AgainstOption = Annotated[
    Path | None,
    typer.Option(
        metavar="COLLECTION",
        help="Collection that the queries will search (default: the one they are drawn from).",
    ),
]


def command(
    collection: DrawnArgument,
    out: OutOption,
    n: CountOption = DEFAULT_N,
    seed: SeedOption = 0,
    on: OnOption = "image",
    distinct: DistinctOption = False,
    against: AgainstOption = None,
    no_codes: NoCodesOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw random query vectors from a collection.

    The SISAP rule applies: a row is left out if the searched collection has a near-duplicate of it, or
    a tie at its 10th neighbour.
    """
    with progress_bars() as progress:
        report = pairdex.queries(
            collection,
            out,
            n,
            on=on,
            seed=seed,
            distinct=distinct,
            against=against,
            use_codes=not no_codes,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json({**asdict(report), "seed": seed, "out": str(out)})
        return
    print_lines(
        {
            "queries": report.n,
            "rows looked at": report.drawn,
            "left out: ties": report.ties,
            "left out: near-duplicates": report.near_duplicates,
            **({"left out: repeated": report.repeated} if distinct else {}),
            "time": duration(report.seconds),
            "written to": out,
        }
    )
