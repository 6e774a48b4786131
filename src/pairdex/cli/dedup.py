"""`pairdex dedup`: a new collection without near-duplicates."""

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
    OnOption,
    WorkersOption,
)
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.curate.dedup import DEFAULT_KEEP, Keep
from pairdex.curate.near_duplicates import DEFAULT_THRESHOLD
from pairdex.wording import duration

EXAMPLES = (
    "pairdex dedup my-collection unique",
    "pairdex dedup my-collection unique --threshold 0.03 --keep largest",
)

ThresholdOption = Annotated[
    float,
    typer.Option(
        metavar="DISTANCE", help="Rows within this cosine distance (1 - cos) are near-duplicates."
    ),
]
KeepOption = Annotated[
    Keep,
    typer.Option(
        help="Which row of several near-duplicates to keep: the one with the smallest id, the "
        "largest picture, or the highest image-text similarity."
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write id, kept_id and distance of every dropped row to this .parquet file.",
    ),
]


def command(
    collection: CollectionArgument,
    new: NewArgument,
    threshold: ThresholdOption = DEFAULT_THRESHOLD,
    keep: KeepOption = DEFAULT_KEEP,
    on: OnOption = "image",
    report: ReportOption = None,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new collection without near-duplicates.

    Rows are visited in the order of --keep. A row is dropped exactly if a row that was kept before lies
    within the threshold. Run the same command again to resume.
    """
    with progress_bars() as progress:
        made = pairdex.dedup(
            collection,
            new,
            threshold=threshold,
            keep=keep,
            on=on,
            report=report,
            workers=workers,
            cluster=cluster,
            progress=progress,
        )
    if as_json:
        print_json(asdict(made))
        return
    print_lines(
        {
            "collection": new,
            "rows": made.rows,
            "dropped": made.dropped,
            "groups": "not counted again" if made.groups is None else made.groups,
            **({} if made.largest_group is None else {"largest group": made.largest_group}),
            "threshold": made.threshold,
            "time": duration(made.seconds),
        }
    )
