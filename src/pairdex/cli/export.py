"""`pairdex export`: a collection in the formats of other tools."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import ClusterOption, CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.errors import InvalidArgument
from pairdex.exports.names import Config, Format
from pairdex.store.fields import VectorField
from pairdex.wording import duration

EXAMPLES = (
    "pairdex export my-collection my-tars --format webdataset --rows 10000",
    "pairdex export my-collection my-parquet --format parquet --vectors image",
)
_KINDS: dict[str, tuple[VectorField, ...]] = {
    "none": (),
    "image": ("image",),
    "text": ("text",),
    "image,text": ("image", "text"),
}

DestArgument = Annotated[Path, typer.Argument(metavar="DEST", help="New folder for the export.")]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="Output format: sisap (HDF5 and TSV), tsv, parquet, laion (parts), webdataset (tars), "
        "tfds, or clickhouse (Parquet and SQL).",
    ),
]
ConfigOption = Annotated[
    Config | None, typer.Option(help="tfds only: which features to write (default: images).")
]
RowsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="tfds and webdataset only: at most N rows per file (default: 10,000 in webdataset; 5,000 "
        "images or 50,000 embeddings in tfds).",
    ),
]
VectorsOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="parquet only: which vectors to write: image, text, 'image,text' or none (default: "
        "all).",
    ),
]


def command(
    collection: CollectionArgument,
    dest: DestArgument,
    form: FormatOption,
    config: ConfigOption = None,
    rows: RowsOption = None,
    vectors: VectorsOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a collection in the format of another tool.

    The folder appears under its name once everything is written. Run the same command again to resume.
    """
    with progress_bars() as progress:
        report = pairdex.export(
            collection,
            dest,
            form,
            config=config,
            rows=rows,
            vectors=None if vectors is None else _read_kinds(vectors),
            cluster=cluster,
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


def _read_kinds(text: str) -> tuple[VectorField, ...]:
    if text not in _KINDS:
        raise InvalidArgument(
            f"the vectors are {text!r}, expected one of {', '.join(_KINDS)}", field="vectors"
        )
    return _KINDS[text]
