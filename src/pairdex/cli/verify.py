"""`pairdex verify`: whether every byte of a collection is as it was written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, print_json, print_lines, progress_bars, size
from pairdex.derived.verify import verify
from pairdex.errors import DamagedFile


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    as_json: JsonOption = False,
) -> None:
    """Read all files of a collection again and compare their checksums."""
    with progress_bars(of_bytes=True) as progress:
        report = verify(collection, progress=progress)
    if as_json:
        print_json(asdict(report))
    elif not report.damaged:
        print_lines({"files": report.files, "read": size(report.bytes), "damaged": "none"})
    if report.damaged:
        first, more = report.damaged[0], len(report.damaged) - 1
        others = f" and {more} more files" if more else ""
        raise DamagedFile(
            f"{collection / first.file} is damaged: {first.reason}{others}; {first.remedy}"
        )
