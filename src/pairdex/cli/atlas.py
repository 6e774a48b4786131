"""`pairdex atlas`: the map that the page shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption, OnOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.derived.atlas.sizes import DEFAULT_SAMPLE, MAX_SAMPLE
from pairdex.store.fields import DEFAULT_SEED
from pairdex.wording import duration

EXAMPLES = ("pairdex atlas my-collection", "pairdex atlas my-collection --on text --sample 50000")

SampleOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=f"Number of rows to lay out, at most {MAX_SAMPLE:,} (default: {DEFAULT_SAMPLE:,}, or "
        "all rows of a smaller collection).",
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Seed of the sample and the layout.")]


def command(
    collection: CollectionArgument,
    sample: SampleOption = None,
    seed: SeedOption = DEFAULT_SEED,
    on: OnOption = "image",
    as_json: JsonOption = False,
) -> None:
    """Compute the map of a collection that the page shows.

    UMAP lays out a sample of the rows, so that similar rows lie close together. Every other row is
    placed at its nearest row of the sample. Needs the extra: pip install 'pairdex[atlas]'.
    """
    with progress_bars() as progress:
        made = pairdex.atlas(collection, sample=sample, seed=seed, on=on, progress=progress)
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
