"""`pairdex encode`: pictures → parts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.model_option import model_place
from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.encoders.encode import PART_ROWS, encode
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device


def command(
    images: Annotated[
        Path,
        typer.Argument(
            help="Folder of pictures or of WebDataset tars, one tar, or a table of paths "
            "(.parquet, .csv, .tsv)."
        ),
    ],
    parts: Annotated[Path, typer.Argument(help="Folder for the parts.")],
    model: Annotated[
        str, typer.Option(help="The model: demo, a known name like ViT-B/32, or its folder.")
    ],
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = DEFAULT_DEVICE,
    part_rows: Annotated[int, typer.Option(help="Pictures a part.")] = PART_ROWS,
    workers: Annotated[
        int, typer.Option(help="Processes that decode pictures; 0: threads of this one.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Encode pictures and captions into parts, which `pairdex build` makes a collection of."""
    with progress_bars() as progress:
        report = encode(
            images,
            parts,
            model=model_place(model),
            device=device,
            part_rows=part_rows,
            workers=workers,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "parts": parts,
            "rows": report.rows,
            "failed": report.failed,
            "without caption": report.without_caption,
            "model": f"{report.model}, {report.dim} dimensions, {report.precision}",
            "time": f"{duration(report.seconds)}, {duration(report.model_seconds)} in the model",
        }
    )
