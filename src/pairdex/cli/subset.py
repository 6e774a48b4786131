"""`pairdex subset`: a new collection of some rows of another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.curate.subset import subset
from pairdex.store.sample import DEFAULT_SEED


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    new: Annotated[Path, typer.Argument(help="Folder of the new collection.")],
    parts: Annotated[
        str | None, typer.Option(help="Only rows of these released parts: 1-11 or 0-9,12.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Keep rows that satisfy this SQL predicate.")
    ] = None,
    without: Annotated[
        Path | None,
        typer.Option(help="Leave out the rows of this file of ids (.h5 of queries, .npy, .txt)."),
    ] = None,
    sample: Annotated[int | None, typer.Option(help="Draw so many rows at random.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = DEFAULT_SEED,
    limit: Annotated[int | None, typer.Option(help="Keep only the first so many rows.")] = None,
    workers: Annotated[int, typer.Option(help="Parts written at once.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Make a new collection of some rows of another.

    Options are applied in the order in which they stand here. Rows get new ids in the old order;
    their vectors and columns, with the part and row they were released in, stay as they are. Run it
    again after a break and it goes on where it stopped.
    """
    with progress_bars() as progress:
        report = subset(
            collection,
            new,
            parts=parts,
            where=where,
            without=without,
            sample=sample,
            seed=seed,
            limit=limit,
            workers=workers,
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
