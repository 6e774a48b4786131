"""`pairdex demo`: the whole way, from drawing pictures to the page."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, progress_bars
from pairdex.collection import Collection
from pairdex.demo.demo import DemoReport, make_demo
from pairdex.service.limits import DEFAULT_HOST, DEFAULT_PORT

DEFAULT_FOLDER = Path("pairdex-demo")


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder for pictures, parts and collection.")
    ] = DEFAULT_FOLDER,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the searches.")] = False,
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.")] = DEFAULT_PORT,
    as_json: JsonOption = False,
) -> None:
    """Draw small scenes, encode them, build a collection, search it, serve the page.

    It works offline with the built-in model, in less than a minute.
    """
    with progress_bars() as progress:
        report = make_demo(folder, progress=progress)
    if no_serve:
        _show(report, None, as_json)
        return
    from pairdex.service.server import serve  # noqa: PLC0415 - no other command waits for it

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
        f"\n{report.rows:,} pictures in {report.collection}, made and searched "
        f"in {duration(report.seconds)}\n"
    )
    if url is None:
        sys.stdout.write(f"See them in a browser: pairdex serve {report.collection}\n")
    else:
        sys.stdout.write(f"Search them in a browser: {url} (Ctrl-C ends it)\n")
    sys.stdout.flush()
