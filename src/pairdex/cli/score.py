"""`pairdex score`: heads → columns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.curate.score import score


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    nsfw: Annotated[
        Path | None, typer.Option(help="LAION's NSFW head (.npz): fills the column punsafe.")
    ] = None,
    aesthetic: Annotated[
        Path | None,
        typer.Option(help="LAION's linear aesthetic head (.npz): fills the column aesthetic."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score all pictures of a collection with LAION's heads, as columns for filters and the page."""
    with progress_bars() as progress:
        report = score(collection, nsfw=nsfw, aesthetic=aesthetic, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "rows": report.rows,
            "columns": ", ".join(report.columns),
            "scored now": report.scored,
            "warnings": "; ".join(report.warnings) or "none",
            "time": duration(report.seconds),
        }
    )
