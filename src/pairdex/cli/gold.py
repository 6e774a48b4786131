"""`pairdex gold`: exact neighbours of queries, as a reference."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pairdex.cli.output import (
    JsonOption,
    NoCodesOption,
    duration,
    print_json,
    print_lines,
    progress_bars,
)
from pairdex.cli.space_option import SpaceOption
from pairdex.reference.gold import DEFAULT_GOLD_K
from pairdex.reference.gold import gold as make_gold


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    queries: Annotated[
        str,
        typer.Argument(
            help="File of query vectors (.npy, .npz, .h5, .fvecs; FILE:NAME picks an array)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The HDF5 file to write: knns (1-based) and dists.")],
    k: Annotated[int, typer.Option("-k", help="Neighbours of each query.")] = DEFAULT_GOLD_K,
    on: SpaceOption = "image",
    device: Annotated[
        str | None,
        typer.Option(help="Do the products with PyTorch on this device: cuda (extra [cuda])."),
    ] = None,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the exact nearest rows of queries, certified, as a gold standard."""
    with progress_bars() as progress:
        report = make_gold(
            collection,
            queries,
            out,
            k=k,
            on=on,
            device=device,
            use_codes=not no_codes,
            progress=progress,
        )
    if as_json:
        print_json(asdict(report))
        return
    print_lines(
        {
            "queries": report.n,
            "k": report.k,
            "ties at k": report.ties,
            "near-duplicates": report.near_duplicates,
            "certified": "yes" if report.certified else "no",
            "time": duration(report.seconds),
            "written to": out,
        }
    )
