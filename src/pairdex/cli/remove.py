"""`pairdex remove`: take rows down."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, printable
from pairdex.wording import duration

if TYPE_CHECKING:
    from pairdex.curate.remove import RemoveReport

EXAMPLES = (
    "pairdex remove my-collection --urls takedown.txt --reason 'request of 3 May'",
    "pairdex remove my-collection --where \"url LIKE '%/me/%'\" --reason GDPR",
)
_SHOWN_URLS = 20  # unknown ones; --json lists all

ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; one line, stored with the removed rows.")
]
IdsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Remove the rows with these ids: .npy, .csv with a column id, or text with one per "
        "line.",
    ),
]
UrlsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Remove all rows with these URLs, one per line."),
]
WhereOption = Annotated[
    str | None, typer.Option(metavar="SQL", help="Remove the rows that match this condition.")
]


def command(
    collection: CollectionArgument,
    reason: ReasonOption,
    ids: IdsOption = None,
    urls: UrlsOption = None,
    where: WhereOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove rows from searches, pages and exports.

    Give exactly one of --ids, --urls and --where. Running services notice at once. The ids of other rows
    do not change. The vectors stay in the files; `pairdex subset COLLECTION NEW` makes a collection
    without them.
    """
    report = pairdex.remove(collection, ids=ids, urls=urls, where=where, reason=reason)
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report, with_urls=urls is not None)


def _print_report(report: RemoveReport, *, with_urls: bool) -> None:
    if report.removed + report.already == 0:
        sys.stdout.write("no row matches: nothing was removed\n")
    print_lines(
        {
            "removed": report.removed,
            "removed before": report.already,
            **({"unknown URLs": report.unknown} if with_urls else {}),
            "rows left": report.rows,
            "time": duration(report.seconds),
        }
    )
    for url in report.unknown_urls[:_SHOWN_URLS]:
        sys.stdout.write(f"unknown: {printable(url)}\n")
    if report.unknown > _SHOWN_URLS:
        sys.stdout.write(f"and {report.unknown - _SHOWN_URLS:,} more\n")
