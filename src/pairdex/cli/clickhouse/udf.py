"""`pairdex clickhouse udf`: functions that encode texts and pictures in ClickHouse's own queries."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json
from pairdex.clickhouse.udf import DEFAULT_POOL, write_functions
from pairdex.encoders.model import BUILT_IN

EXAMPLES = ("pairdex clickhouse udf functions --model ./my-model",)

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder to write the functions to.")
]
ModelOption = Annotated[
    str,
    typer.Option(metavar="MODEL", help="Model that made the vectors: demo, or a model folder."),
]
PicturesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Let encode_image read only pictures in this folder (default: any file).",
    ),
]
PoolOption = Annotated[
    int, typer.Option(metavar="N", help="Number of processes for each function.")
]


def command(
    folder: FolderArgument,
    model: ModelOption = BUILT_IN,
    pictures: PicturesOption = None,
    pool: PoolOption = DEFAULT_POOL,
    as_json: JsonOption = False,
) -> None:
    """Write functions that encode text and pictures in ClickHouse.

    The functions are encode_text and encode_image. docs/clickhouse.md says how a server loads them.
    """
    report = write_functions(folder, model=model, pictures=pictures, pool=pool)
    if as_json:
        print_json(asdict(report))
        return
    sys.stdout.write(
        f"{' and '.join(report.functions)} of {report.model} ({report.dim} dimensions) in {folder}: "
        f"{', '.join(report.files)}\n"
    )
