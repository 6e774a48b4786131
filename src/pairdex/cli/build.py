"""`pairdex build`: parts → collection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex import api
from pairdex.cli.model_option import model_place
from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.parts.layout import DEFAULT_TOWER, Tower, parse_numbers
from pairdex.parts.nsfw import NsfwRule
from pairdex.parts.subsets import SubsetName


def command(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of parts (LAION, clip-retrieval or DataComp layout), table with vectors, or "
            "SISAP bundle (.h5)."
        ),
    ],
    collection: Annotated[Path, typer.Argument(help="Folder of the collection, new or existing.")],
    parts: Annotated[str | None, typer.Option(help="Only these parts: 1-11 or 0-9,12.")] = None,
    nsfw: Annotated[
        NsfwRule | None,
        typer.Option(help="Which rows to keep by their NSFW tag; all by default."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Keep rows that satisfy this SQL predicate.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Stop at so many rows.")] = None,
    subset: Annotated[
        SubsetName | None, typer.Option(help="Take the parts and the rule of this SISAP subset.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="The bundle's TSV, if not the meta-SIZE.tsv beside it.")
    ] = None,
    replace_part: Annotated[
        list[str] | None,
        typer.Option(help="Replace the rows of these parts, whose files have changed: 3 or 0-2."),
    ] = None,
    skip_incomplete: Annotated[
        bool, typer.Option("--skip-incomplete", help="Leave out parts that are not whole.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Link vectors to the released files where possible.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Parts written at once.")] = 1,
    model: Annotated[
        str | None, typer.Option(help="Model that made the vectors: demo, or its folder.")
    ] = None,
    tower: Annotated[
        Tower, typer.Option(help="Which model's vectors of DataComp parts.")
    ] = DEFAULT_TOWER,
    as_json: JsonOption = False,
) -> None:
    """Build a collection from parts, or add new parts to one.

    Run it again after a break and it goes on where it stopped.
    """
    with progress_bars() as progress:
        report = api.build(
            source,
            collection,
            parts=None if parts is None else parse_numbers(parts),
            nsfw=nsfw,
            where=where,
            limit=limit,
            subset=subset,
            metadata=metadata,
            tower=tower,
            model=None if model is None else model_place(model),
            replace_parts=parse_numbers(",".join(replace_part)) if replace_part else (),
            skip_incomplete=skip_incomplete,
            link=link,
            workers=workers,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
        return
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in report.dropped.items() if n)
    print_lines(
        {
            "collection": collection,
            "rows": report.rows,
            "added": report.added,
            "rows read": report.rows_read,
            "dropped": dropped or "none",
            **({"replaced": report.replaced} if report.replaced else {}),
            **({"skipped": report.skipped} if report.skipped else {}),
            "parts": report.parts,
            "dimensions": report.dim,
            "time": duration(report.seconds),
        }
        | {f"note {number}": note for number, note in enumerate(report.notes, start=1)}
    )
