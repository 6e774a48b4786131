"""`pairdex model verify`: whether a model made a collection's vectors."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption, ModelOption
from pairdex.cli.output import print_json, print_lines
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device
from pairdex.encoders.first_use import model_place
from pairdex.errors import Mismatch
from pairdex.store.verify_model import DEFAULT_SAMPLE
from pairdex.wording import counted, duration

if TYPE_CHECKING:
    from pairdex.encoders.agreement import Agreement
    from pairdex.store.verify_model import ModelReport

EXAMPLES = (
    "pairdex model verify my-collection",
    "pairdex model verify my-collection --model ViT-B/32 --sample 1000",
)

SampleOption = Annotated[
    int, typer.Option(metavar="N", help="Number of captions and of pictures to encode again.")
]
DeviceOption = Annotated[Device, typer.Option(help="Where the model runs.")]


def command(
    collection: CollectionArgument,
    model: ModelOption = None,
    sample: SampleOption = DEFAULT_SAMPLE,
    device: DeviceOption = DEFAULT_DEVICE,
    as_json: JsonOption = False,
) -> None:
    """Check that a model is the one that made a collection's vectors.

    A sample of captions and pictures is encoded again and compared with the stored vectors. Exit status
    1 if the model is another one.
    """
    place = None if model is None else model_place(model)
    report = pairdex.verify_model(collection, model=place, sample=sample, device=device)
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)
    if report.verdict != "same":
        raise Mismatch(f"{collection}: {report.model} is {report.verdict}: {report.explanation}")


def _print_report(report: ModelReport) -> None:
    similarity = {"similarity": _shown(report.similarity)} if report.similarity else {}
    print_lines(
        {
            "model": report.model,
            "verdict": f"{report.verdict}: {report.explanation}",
            "agreement": f"{report.agreement:.5f}",
            "texts": _shown(report.texts),
            "pictures": _shown(report.pictures),
            **similarity,
            "time": duration(report.seconds),
        }
    )


def _shown(agreement: Agreement | None) -> str:
    if agreement is None:
        return "not compared"
    return (
        f"{counted(agreement.rows, 'row')}, median {agreement.median:.5f}, {agreement.same:.1%} the same, "
        f"{agreement.recognised:.1%} recognised"
    )
