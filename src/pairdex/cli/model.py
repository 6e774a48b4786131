"""`pairdex model`: making model folders of published models, and checking collections against models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from pairdex.cli.model_option import model_place
from pairdex.cli.output import JsonOption, duration, print_json, print_lines, size
from pairdex.encoders.agreement import Agreement
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device
from pairdex.encoders.export.export import export_model
from pairdex.errors import Mismatch
from pairdex.store.verify_model import DEFAULT_SAMPLE, verify_model

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
    """Make a model folder of a published model (extra `export`)."""
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


@app.command()
def verify(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    model: Annotated[
        str | None,
        typer.Option(help="The model to check: a name or folder; otherwise the collection's own."),
    ] = None,
    sample: Annotated[int, typer.Option(help="How many captions and pictures to encode again.")] = (
        DEFAULT_SAMPLE
    ),
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = DEFAULT_DEVICE,
    as_json: JsonOption = False,
) -> None:
    """Check that a model is the one that made a collection's vectors; exit status 1 if not."""
    place = None if model is None else model_place(model)
    report = verify_model(collection, model=place, sample=sample, device=device)
    if as_json:
        print_json(asdict(report))
    else:
        print_lines(
            {
                "model": report.model,
                "verdict": f"{report.verdict}: {report.explanation}",
                "agreement": f"{report.agreement:.5f}",
                "texts": _shown(report.texts),
                "pictures": _shown(report.pictures),
                **({"similarity": _shown(report.similarity)} if report.similarity else {}),
                "time": duration(report.seconds),
            }
        )
    if report.verdict != "same":
        raise Mismatch(f"{collection}: {report.model} is {report.verdict}: {report.explanation}")


def _shown(agreement: Agreement | None) -> str:
    if agreement is None:
        return "not compared"
    return (
        f"{agreement.rows:,} rows, median {agreement.median:.5f}, {agreement.same:.1%} the same, "
        f"{agreement.recognised:.1%} recognised"
    )
