"""`pairdex encode`: pictures → parts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import JsonOption
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.encoders.encode import PART_ROWS, EncodeReport
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device
from pairdex.encoders.first_use import model_place
from pairdex.wording import duration

EXAMPLES = (
    "pairdex encode my-pictures parts --model ViT-B/32",
    "pairdex encode tars parts --model ./my-model --device cuda --workers 8",
)

ImagesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES",
        help="Folder of pictures or WebDataset tars; tars, such as {000..099}.tar; a table of picture "
        "paths (.parquet, .csv, .tsv, .jsonl); or Parquet tables that hold the pictures.",
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
AsStoredOption = Annotated[
    bool,
    typer.Option(
        "--as-stored", help="Do not turn pictures upright by EXIF; OpenAI's code does not."
    ),
]
NoExifOption = Annotated[
    bool,
    typer.Option(
        "--no-exif", help="Leave out the columns taken, camera, latitude, longitude and folder."
    ),
]
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
    as_stored: AsStoredOption = False,
    no_exif: NoExifOption = False,
    part_rows: PartRowsOption = PART_ROWS,
    workers: DecodersOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Encode pictures and captions into parts.

    `pairdex build` makes a collection from the parts. Run the same command again to resume.
    """
    place = model_place(model)
    with progress_bars() as progress:
        report = pairdex.encode(
            images,
            parts,
            model=place,
            device=device,
            as_stored=as_stored,
            exif=not no_exif,
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
            "pictures": report.orientation,
            "model": f"{report.model}, {report.dim} dimensions, {report.precision}",
            "time": f"{duration(report.seconds)}, {duration(report.model_seconds)} in the model",
        }
        | _notes(report, parts)
    )


def _notes(report: EncodeReport, parts: Path) -> dict[str, str]:
    """Return what a user should look at, by the name of its line."""
    notes = {"note": report.knows} if report.knows else {}
    for count, file, what in (
        (report.failed, "failed.tsv", "pictures could not be read"),
        (report.noted, "notes.tsv", "files need a look"),
    ):
        if count:
            notes[file] = f"{count:,} {what}: {parts / file} lists them"
    return notes
