"""`pairdex encode`: pictures → parts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.model_option import model_place
from pairdex.cli.options import JsonOption
from pairdex.cli.output import duration, print_json, print_lines, progress_bars
from pairdex.encoders.encode import PART_ROWS
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device

EXAMPLES = (
    "pairdex encode my-pictures parts --model ViT-B/32",
    "pairdex encode tars parts --model ./my-model --device cuda --workers 8",
)

ImagesArgument = Annotated[
    Path,
    typer.Argument(
        metavar="IMAGES",
        help="Folder of pictures or WebDataset tars, a single tar, or a table of picture paths "
        "(.parquet, .csv, .tsv).",
    ),
]
PartsArgument = Annotated[Path, typer.Argument(metavar="PARTS", help="Folder for the parts.")]
EncodingOption = Annotated[
    str,
    typer.Option(
        metavar="MODEL", help="Model: demo, the name of a published model, or a model folder."
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where the model runs.")]
PartRowsOption = Annotated[int, typer.Option(metavar="N", help="Number of pictures per part.")]
DecodersOption = Annotated[
    int,
    typer.Option(
        metavar="N", help="Number of processes that decode pictures; 0 decodes in threads instead."
    ),
]


def command(
    images: ImagesArgument,
    parts: PartsArgument,
    model: EncodingOption,
    device: DeviceOption = DEFAULT_DEVICE,
    part_rows: PartRowsOption = PART_ROWS,
    workers: DecodersOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Encode pictures and captions into parts.

    `pairdex build` makes a collection from the parts. Run the same command again to resume.
    """
    with progress_bars() as progress:
        report = pairdex.encode(
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
