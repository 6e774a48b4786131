"""`pairdex atlas`: the map that the page shows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.derived.atlas.make import DEFAULT_SAMPLE, MAX_SAMPLE, atlas
from pairdex.store.sample import DEFAULT_SEED
from pairdex.store.store import Kind


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    sample: Annotated[
        int | None,
        typer.Option(
            help=f"Rows to lay out, at most {MAX_SAMPLE:,}; by default {DEFAULT_SAMPLE:,}, or all."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sample and the layout.")] = DEFAULT_SEED,
    on: Annotated[Kind, typer.Option(help="Which vectors decide what is near.")] = "image",
    as_json: JsonOption = False,
) -> None:
    """Make the map of a collection that the page shows.

    A sample is laid out so that near rows lie near each other; every other row is placed at its nearest
    row of the sample.
    """
    with progress_bars() as progress:
        made = atlas(collection, sample=sample, seed=seed, on=on, progress=progress)
    if as_json:
        print_json(asdict(made))
        return
    print_lines(
        {
            "rows": made.rows,
            "points": made.points,
            "regions": made.regions,
            "time": duration(made.seconds),
        }
    )
