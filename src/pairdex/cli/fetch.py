"""`pairdex fetch`: files of a release → a folder, whole and verified."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars, size
from pairdex.downloads.fetch import DEFAULT_JOBS, FetchReport, fetch_files
from pairdex.errors import FetchFailed
from pairdex.parts.layout import parse_numbers


def command(
    release: Annotated[
        str,
        typer.Argument(help="A release of `pairdex releases`, or an address: https, file, s3, hf."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="The folder to fetch into.")],
    parts: Annotated[str | None, typer.Option(help="Only these parts: 1-11 or 0-9,12.")] = None,
    files: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only these files; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Files fetched at once, at most 4 of one host.")] = (
        DEFAULT_JOBS
    ),
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="Fetch from this address instead.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch files of a release; run it again after any break and it goes on where it stopped."""
    numbers = None if parts is None else parse_numbers(parts)
    with progress_bars(of_bytes=True) as progress:
        report = fetch_files(
            release,
            folder,
            parts=numbers,
            files=files or (),
            jobs=jobs,
            mirror=mirror,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
    else:
        _show(report, folder)
    if report.failed:
        raise FetchFailed(report.complaint())


def _show(report: FetchReport, folder: Path) -> None:
    print_lines(
        {
            "files": report.files,
            "size": size(report.bytes),
            "verified": f"{report.verified:,} by their checksum",
            "fetched": f"{report.fetched:,} now, {size(report.received)} received",
            "time": duration(report.seconds),
            "in": folder,
        }
    )
    for note in report.notes:
        more = f" and {len(note.files) - 1:,} more" if len(note.files) > 1 else ""
        sys.stdout.write(f"note on {note.files[0]}{more}: {note.note}\n")
