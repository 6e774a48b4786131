"""`pairdex encode`: pictures → parts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.model_option import model_place
from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.encoders.encode import PART_ROWS, EncodeReport, encode
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device


def command(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Folder of pictures or of WebDataset tars, tars ({000..099}.tar), a table of paths "
            "(.parquet, .csv, .tsv, .jsonl), or Parquet tables of pictures."
        ),
    ],
    parts: Annotated[Path, typer.Argument(help="Folder for the parts.")],
    model: Annotated[
        str, typer.Option(help="The model: demo, a known name like ViT-B/32, or its folder.")
    ],
    device: Annotated[Device, typer.Option(help="Where the model runs.")] = DEFAULT_DEVICE,
    as_stored: Annotated[
        bool,
        typer.Option(
            "--as-stored", help="Do not turn pictures upright by EXIF, as OpenAI's code does not."
        ),
    ] = False,
    no_exif: Annotated[
        bool,
        typer.Option("--no-exif", help="No columns taken, camera, latitude, longitude, folder."),
    ] = False,
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
    """Return what one should look at, by the name of a line."""
    notes = {"note": report.knows} if report.knows else {}
    for count, file, what in (
        (report.failed, "failed.tsv", "pictures could not be read"),
        (report.noted, "notes.tsv", "files need a look"),
    ):
        if count:
            notes[file] = f"{count:,} {what}: {parts / file} lists them"
    return notes
