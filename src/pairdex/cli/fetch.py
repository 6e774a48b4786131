"""`pairdex fetch`: files of a release → a folder, whole and verified."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.options import JsonOption, PartsOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.downloads.fetch import DEFAULT_JOBS, FetchReport, fetch_files
from pairdex.errors import FetchFailed
from pairdex.wording import duration, size

EXAMPLES = (
    "pairdex fetch laion400m parts --parts 0-3",
    "pairdex fetch laion2b-en parts --files 'metadata_*.parquet'",
)

ReleaseArgument = Annotated[
    str,
    typer.Argument(
        metavar="RELEASE",
        help="Name of a release (see `pairdex releases`), or the address of a folder: https://, "
        "file://, s3://, gs://, az:// or hf://.",
    ),
]
DestArgument = Annotated[Path, typer.Argument(metavar="DEST", help="Folder to download into.")]
FilesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="Fetch only files whose name fits GLOB (repeatable; default: all)."
    ),
]
JobsOption = Annotated[
    int, typer.Option(metavar="N", help="Number of downloads at once, at most 4 from one host.")
]
MirrorOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Fetch from this folder instead.")
]


def command(
    release: ReleaseArgument,
    folder: DestArgument,
    parts: PartsOption = None,
    files: FilesOption = None,
    jobs: JobsOption = DEFAULT_JOBS,
    mirror: MirrorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download files of a release and verify them.

    Run the same command again to resume an interrupted download.
    """
    with progress_bars(of_bytes=True) as progress:
        report = fetch_files(
            release,
            folder,
            parts=parts,
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
            "verified": f"{report.verified:,} by checksum",
            "fetched": f"{report.fetched:,} now, {size(report.received)} received",
            "time": duration(report.seconds),
            "written to": folder,
        }
    )
    for note in report.notes:
        more = f" and {len(note.files) - 1:,} more" if len(note.files) > 1 else ""
        sys.stdout.write(f"note on {note.files[0]}{more}: {note.note}\n")
