"""`pairdex score`: heads → columns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import ClusterOption, CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.wording import duration

EXAMPLES = (
    "pairdex score my-collection --nsfw clip_autokeras_binary_nsfw.npz",
    "pairdex score my-collection --aesthetic sa_0_4_vit_l_14_linear.npz",
)

NsfwOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="LAION's NSFW head (.npz): fills the column punsafe, 0 to 1."
    ),
]
AestheticOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="LAION's linear aesthetic head (.npz): fills the column aesthetic, about 0 to 10.",
    ),
]


def command(
    collection: CollectionArgument,
    nsfw: NsfwOption = None,
    aesthetic: AestheticOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add scores for safety and aesthetics as metadata columns.

    LAION's heads compute the scores from the image vectors. Filters and the page can use the columns.
    Run the command again after parts were added.
    """
    with progress_bars() as progress:
        report = pairdex.score(
            collection, nsfw=nsfw, aesthetic=aesthetic, cluster=cluster, progress=progress
        )
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
