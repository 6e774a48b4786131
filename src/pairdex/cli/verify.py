"""`pairdex verify`: whether every byte of a collection is as it was written."""

from __future__ import annotations

from dataclasses import asdict

import pairdex
from pairdex.cli.options import ClusterOption, CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.errors import DamagedFile
from pairdex.wording import size

EXAMPLES = (
    "pairdex verify my-collection",
    "pairdex verify my-collection --cluster 10.0.0.1:6379",
)


def command(
    collection: CollectionArgument,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every file of a collection and compare its checksum.

    Exit status 1 if a file is damaged: the error names the file and what to do.
    """
    with progress_bars(of_bytes=True) as progress:
        report = pairdex.verify(collection, cluster=cluster, progress=progress)
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
