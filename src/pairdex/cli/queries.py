"""`pairdex queries`: hold out queries of a collection, by SISAP's rule."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import (
    JsonOption,
    NoCodesOption,
    duration,
    print_json,
    print_lines,
    progress_bars,
)
from pairdex.reference.queries import DEFAULT_N
from pairdex.reference.queries import queries as draw_queries
from pairdex.store.store import Kind


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection to draw from.")],
    out: Annotated[Path, typer.Option(help="The HDF5 file to write: emb and ids.")],
    n: Annotated[int, typer.Option("-n", help="How many queries.")] = DEFAULT_N,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.", min=0)] = 0,
    on: Annotated[Kind, typer.Option(help="Which vectors become queries.")] = "image",
    distinct: Annotated[
        bool, typer.Option("--distinct", help="No query nearer than 1e-4 to another.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="The collection to be searched; the drawn rows' own by default."),
    ] = None,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw queries at random, without near-duplicates and ties at the 10th neighbour."""
    with progress_bars() as progress:
        report = draw_queries(
            collection,
            out,
            n,
            on=on,
            seed=seed,
            distinct=distinct,
            against=against,
            use_codes=not no_codes,
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
