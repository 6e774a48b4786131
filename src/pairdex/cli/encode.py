"""`pairdex encode`: pictures → parts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bar
from pairdex.encoders.encode import encode
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device


def command(
    images: Annotated[
        Path,
        typer.Argument(help="Folder of pictures; captions from .txt beside them or captions.tsv."),
    ],
    parts: Annotated[Path, typer.Argument(help="Folder for the parts.")],
    model: Annotated[str, typer.Option(help="The model: demo, or its folder.")],
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = DEFAULT_DEVICE,
    as_json: JsonOption = False,
) -> None:
    """Encode a folder of pictures into parts, which `pairdex build` makes a collection of."""
    with progress_bar("encoding") as progress:
        report = encode(images, parts, model=model, device=device, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "parts": parts,
            "rows": report.rows,
            "failed": report.failed,
            "without caption": report.without_caption,
            "model": f"{report.model}, {report.dim} dimensions",
            "time": duration(report.seconds),
        }
    )
