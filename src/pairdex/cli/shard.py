"""`pairdex shard`: one collection as several shards, or several collections as shards of one."""

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
    "pairdex shard my-collection 4 --out sharded",
    "pairdex shard --join first second third --out sharded",
)

WhatArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="COLLECTION N",
        help="A collection and the number of shards. With --join: collections, each of which becomes a shard.",
    ),
]
JoinOption = Annotated[
    bool, typer.Option("--join", help="Make each of the collections one shard, in this order.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder to make (default: COLLECTION-shards)."),
]


def command(
    what: WhatArgument,
    join: JoinOption = False,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Divide a collection into shards, or join collections as shards.

    The new folder is searched like one collection; rows keep their ids, and with --join those of the next
    collection follow. Files are shared with the sources by links where the file system can do that, and
    copied otherwise. Run the same command again to resume.
    """
    with progress_bars(of_bytes=True) as progress:
        if join:
            if out is None:
                raise typer.BadParameter("name the new folder", param_hint="--out")
            report, folder = pairdex.join_shards(what, out, progress=progress), out
        else:
            collection, shards = _collection_and_number(what)
            folder = out or collection.with_name(f"{collection.name}-shards")
            report = pairdex.shard(collection, shards, folder, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "collection": folder,
            "shards": report.shards,
            "rows": report.rows,
            "linked": size(report.linked),
            "copied": size(report.copied),
            "time": duration(report.seconds),
        }
    )


def _collection_and_number(what: list[str]) -> tuple[Path, int]:
    if len(what) != 2 or not what[1].isdecimal():
        raise typer.BadParameter(
            "expected a collection and the number of shards, as in: pairdex shard my-collection 4",
            param_hint="COLLECTION",
        )
    return Path(what[0]), int(what[1])
