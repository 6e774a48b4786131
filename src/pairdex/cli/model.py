"""`pairdex model`: making model folders of published models, and checking collections against models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, size
from pairdex.encoders.export.export import export_model

app = typer.Typer(
    no_args_is_help=True, help="Make model folders, and check collections against models."
)


@app.command()
def export(
    source: Annotated[
        Path,
        typer.Argument(
            help="Local directory of a Hugging Face CLIP or SigLIP, of an open_clip model, or a .pt."
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="The new model folder.")],
    name: Annotated[str | None, typer.Option(help="What the model is to be called.")] = None,
    activation: Annotated[
        Literal["quick_gelu", "gelu", "gelu_tanh"] | None,
        typer.Option(help="Instead of what the model says; a bare state dict cannot say it."),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="8-bit matrices: smaller, faster, and another model."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a model folder of a published model (extra [export])."""
    report = export_model(source, folder, name=name, activation=activation, int8=int8)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "model": f"{report.model}, {report.dim} dimensions, {report.precision}",
            "from": f"{report.kind}, {report.activation}",
            "checksum": report.checksum,
            "written to": f"{folder} ({size(report.bytes)})",
            "time": duration(report.seconds),
        }
    )
