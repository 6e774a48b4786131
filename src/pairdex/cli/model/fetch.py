"""`pairdex model fetch`: a published model → the cache of models, verified."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, print_lines
from pairdex.wording import duration, size

EXAMPLES = (
    "pairdex model fetch ViT-B/32",
    "pairdex model fetch ViT-B/32 --from ./vit_base_patch32_clip_224.openai",
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of a published model, such as ViT-B/32 or ViT-L/14; or a repository of the Hugging "
        "Face hub (OWNER/NAME or OWNER/NAME@REVISION).",
    ),
]
FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="DIR", help="Take the repository's files from DIR; download nothing."
    ),
]


def command(name: NameArgument, source: FromOption = None, as_json: JsonOption = False) -> None:
    """Fetch a published model, verify it and convert it.

    Commands with --model do this on first use. Run the same command again to resume an interrupted
    download. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured; PAIRDEX_MODELS names the folder
    of models.
    """
    report = pairdex.fetch_model(name, source=source)
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "model": f"{report.model}, {report.dim} dimensions",
            "from": report.source,
            "checksum": report.checksum,
            "fetched": "before" if report.already else f"{size(report.received)} received",
            "written to": f"{report.folder} ({size(report.bytes)})",
            "time": duration(report.seconds),
        }
    )
