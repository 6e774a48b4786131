"""`pairdex model export`: a published model → a model folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

import pairdex
from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, print_lines
from pairdex.wording import duration, size

EXAMPLES = (
    "pairdex model export ./clip-vit-base-patch32 my-model",
    "pairdex model export ViT-L-14.pt my-model --int8",
)

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="Folder of a CLIP or SigLIP model from Hugging Face, folder of an open_clip model, or "
        "OpenAI's .pt file.",
    ),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="New model folder.")]
NameOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Name of the new model (default: the name in SOURCE)."),
]
ActivationOption = Annotated[
    Literal["quick_gelu", "gelu", "gelu_tanh"] | None,
    typer.Option(
        help="Activation function (default: the one SOURCE states; a bare state dict does not)."
    ),
]
Int8Option = Annotated[
    bool,
    typer.Option(
        "--int8",
        help="Store matrices in 8 bits: smaller and faster, but its vectors differ, so it counts "
        "as another model.",
    ),
]


def command(
    source: SourceArgument,
    folder: FolderArgument,
    name: NameOption = None,
    activation: ActivationOption = None,
    int8: Int8Option = False,
    as_json: JsonOption = False,
) -> None:
    """Convert a published model into a model folder.

    SOURCE must be on this machine; `pairdex model fetch` fetches known models itself. Pickled weights
    (.pt, .bin) need the extra: pip install 'pairdex[export]'.
    """
    report = pairdex.export_model(source, folder, name=name, activation=activation, int8=int8)
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
