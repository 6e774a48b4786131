"""`pairdex pull`: an address → a collection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.wording import duration, size

EXAMPLES = (
    "pairdex pull https://host/my-collection my-collection",
    "pairdex pull hf://datasets/NAME/my-collection my-collection",
)

UrlArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Address of a published collection: https://, s3://, gs://, az://, hf:// or file://.",
    ),
]
TargetArgument = Annotated[
    Path,
    typer.Argument(metavar="COLLECTION", help="Folder of the collection, new or pulled to before."),
]
JobsOption = Annotated[
    int, typer.Option(metavar="N", help="Number of files fetched at once, at most 4 from one host.")
]


def command(
    url: UrlArgument,
    collection: TargetArgument,
    jobs: JobsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Fetch a published collection with its indexes.

    Later pulls fetch only what changed. Run the same command again to resume an interrupted pull.
    """
    with progress_bars(of_bytes=True) as progress:
        report = pairdex.pull(url, collection, jobs=jobs, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "collection": collection,
            "rows": report.rows,
            "files": report.files,
            "size": size(report.bytes),
            "verified": f"{report.verified:,} by checksum",
            "fetched": f"{report.fetched:,} now, {size(report.received)} received",
            "time": duration(report.seconds),
        }
    )
