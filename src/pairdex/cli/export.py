"""`pairdex export`: a collection in the formats of other tools."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.errors import InvalidArgument
from pairdex.exports.formats import Format, export
from pairdex.exports.training.features import Config
from pairdex.store.store import Kind

_KINDS: dict[str, tuple[Kind, ...]] = {
    "none": (),
    "image": ("image",),
    "text": ("text",),
    "image,text": ("image", "text"),
}


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    dest: Annotated[Path, typer.Argument(help="The folder to make.")],
    form: Annotated[Format, typer.Option("--format", help="What the folder is to be.")],
    config: Annotated[
        Config | None, typer.Option(help="tfds: which features (images by default).")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="tfds, webdataset: at most so many rows a file.")
    ] = None,
    vectors: Annotated[
        str | None,
        typer.Option(help="parquet: image, text, 'image,text' or none (all by default)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a collection on: SISAP's bundle, Parquet, parts again, WebDataset, TFDS, ClickHouse.

    The folder gets its name when all is written; run the same command again after a break and it goes
    on where it stopped.
    """
    with progress_bars() as progress:
        report = export(
            collection,
            dest,
            form,
            config=config,
            rows=rows,
            vectors=None if vectors is None else _parse_kinds(vectors),
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
        return
    left = {f"left out, {reason}": count for reason, count in report.left_out.items()}
    print_lines(
        {
            "rows": report.rows,
            **left,
            "files": report.files,
            "time": duration(report.seconds),
            "written to": dest,
        }
    )
    for note in report.notes:
        sys.stdout.write(f"note: {note}\n")


def _parse_kinds(text: str) -> tuple[Kind, ...]:
    if text not in _KINDS:
        raise InvalidArgument(
            f"the vectors are {text!r}, expected one of {', '.join(_KINDS)}", field="vectors"
        )
    return _KINDS[text]
