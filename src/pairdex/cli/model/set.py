"""`pairdex model set`: which model made a collection's vectors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines
from pairdex.parts.model_record import shown_model

EXAMPLES = (
    "pairdex model set my-collection ViT-B/32",
    "pairdex model set my-collection ./my-model --force",
)

MadeByArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Model that made the vectors: a published name, or a model folder."
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace a record that names another model.")
]


def command(
    collection: CollectionArgument,
    model: MadeByArgument,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Record which model made a collection's vectors.

    Parts of your own pictures and of known releases say it themselves. Afterwards,
    `pairdex model verify` checks the record.
    """
    report = pairdex.set_model(collection, model, force=force)
    if as_json:
        print_json(asdict(report))
        return
    known = report.checksum or "not known: the model is not on this machine"
    print_lines(
        {
            "collection": report.collection,
            "model": f"{report.model}, {report.dim} dimensions",
            "checksum": known,
            "before": shown_model(report.before),
        }
    )
