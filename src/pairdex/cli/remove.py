"""`pairdex remove`: take rows down."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, printable
from pairdex.curate.remove import remove

_SHOWN_URLS = 20  # that no row has; --json lists all


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    reason: Annotated[str, typer.Option(help="Why; one line, kept with the rows.")],
    ids: Annotated[
        Path | None,
        typer.Option(help="Rows of these ids: .npy, .csv with a column id, or one a line."),
    ] = None,
    urls: Annotated[
        Path | None, typer.Option(help="Rows of these URLs: one a line, compared as they are.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Rows that satisfy this SQL predicate.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Remove rows: searches, pages and running services show them no more.

    Ids do not change; the vectors stay in the files until a new collection is made with
    `pairdex subset COLLECTION NEW`.
    """
    report = remove(collection, ids=ids, urls=urls, where=where, reason=reason)
    if as_json:
        print_json(asdict(report))
        return
    if report.removed + report.already == 0:
        sys.stdout.write("there is no such row: nothing was removed\n")
    print_lines(
        {
            "removed": report.removed,
            "removed before": report.already,
            **({"unknown URLs": report.unknown} if urls is not None else {}),
            "rows left": report.rows,
            "time": duration(report.seconds),
        }
    )
    for url in report.unknown_urls[:_SHOWN_URLS]:
        sys.stdout.write(f"unknown: {printable(url)}\n")
    if report.unknown > _SHOWN_URLS:
        sys.stdout.write(f"and {report.unknown - _SHOWN_URLS:,} more\n")
