"""`pairdex dedup`: a new collection without near-duplicates."""

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
from pairdex.curate.dedup import DEFAULT_KEEP, DEFAULT_THRESHOLD, Keep, dedup
from pairdex.store.store import Kind


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    new: Annotated[Path, typer.Argument(help="Folder of the new collection.")],
    threshold: Annotated[
        float, typer.Option(help="Distance (1 - cos) up to which rows are near-duplicates.")
    ] = DEFAULT_THRESHOLD,
    keep: Annotated[
        Keep,
        typer.Option(help="Which of them stays: by id, by width x height, or by similarity."),
    ] = DEFAULT_KEEP,
    on: Annotated[Kind, typer.Option(help="Which vectors to compare.")] = "image",
    report: Annotated[
        Path | None,
        typer.Option(help="Write id, kept_id and distance of every dropped row to FILE.parquet."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Parts written at once.")] = 1,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new collection without near-duplicates.

    Rows are visited in the order of --keep; a row is dropped if, and only if, a row that was kept
    before it is within the threshold. Run it again after a break and it goes on where it stopped.
    """
    with progress_bars() as progress:
        made = dedup(
            collection,
            new,
            threshold=threshold,
            keep=keep,
            on=on,
            report=report,
            use_codes=not no_codes,
            workers=workers,
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
