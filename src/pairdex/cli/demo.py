"""`pairdex demo`: from drawing pictures to the page in one command."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, progress_bars
from pairdex.collection import Collection
from pairdex.demo.demo import DemoReport, make_demo
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT
from pairdex.wording import counted, duration

DEFAULT_FOLDER = Path("pairdex-demo")
EXAMPLES = ("pairdex demo", "pairdex demo my-demo --no-serve")

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder for the pictures, parts and collection.")
]
NoServeOption = Annotated[
    bool, typer.Option("--no-serve", help="Stop after the searches; do not start the server.")
]
PortOption = Annotated[
    int, typer.Option(metavar="PORT", help="Port of the web page; 0 picks a free one.")
]


def command(
    folder: FolderArgument = DEFAULT_FOLDER,
    no_serve: NoServeOption = False,
    port: PortOption = DEFAULT_PORT,
    as_json: JsonOption = False,
) -> None:
    """Make a small collection from drawn pictures, search it and serve it.

    The demo works offline with the built-in model and takes less than a minute. Press Ctrl-C to stop
    the server.
    """
    with progress_bars() as progress:
        report = make_demo(folder, progress=progress)
    if no_serve:
        _show(report, None, as_json)
        return
    from pairdex.service.server import serve  # noqa: PLC0415 - not for --no-serve

    collection = Collection.open(report.collection)
    serve([collection], host=DEFAULT_HOST, port=port, ready=lambda url: _show(report, url, as_json))


def _show(report: DemoReport, url: str | None, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report) | {"url": url})
        sys.stdout.flush()
        return
    for query in report.queries:
        sys.stdout.write(f"\n{query.text}\n")
        for hit in query.hits:
            sys.stdout.write(f"  {1 - hit.distance:.3f}  {hit.caption}  ({hit.image_path})\n")
    sys.stdout.write(
        f"\n{counted(report.rows, 'picture')} in {report.collection}, "
        f"made and searched in {duration(report.seconds)}\n"
    )
    if url is None:
        sys.stdout.write(f"Search them in a browser: pairdex serve {report.collection}\n")
    else:
        sys.stdout.write(f"Search them in a browser: {url} (Ctrl-C stops the server)\n")
    sys.stdout.flush()
