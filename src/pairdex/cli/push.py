"""`pairdex push`: a collection → an address."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.wording import duration, size

EXAMPLES = (
    "pairdex push my-collection s3://bucket/my-collection",
    "pairdex push my-collection hf://datasets/NAME/my-collection",
)

UrlArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Address of a folder, new or pushed to before: s3://, gs://, az://, hf:// or file://.",
    ),
]
JobsOption = Annotated[int, typer.Option(metavar="N", help="Number of files sent at once.")]


def command(
    collection: CollectionArgument,
    url: UrlArgument,
    jobs: JobsOption = 4,
    as_json: JsonOption = False,
) -> None:
    """Publish a collection with its indexes at an address.

    Later pushes send only what changed. Run the same command again to resume an interrupted push.
    """
    with progress_bars(of_bytes=True) as progress:
        report = pairdex.push(collection, url, jobs=jobs, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "files": report.files,
            "size": size(report.bytes),
            "sent": f"{report.sent:,} now, {size(report.sent_bytes)}",
            "time": duration(report.seconds),
            "published at": report.url,
        }
    )
