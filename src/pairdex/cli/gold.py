"""`pairdex gold`: exact neighbours of queries, as a reference."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.options import (
    CollectionArgument,
    JsonOption,
    KOption,
    NoCodesOption,
    QueriesArgument,
    SpaceOption,
)
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.reference.gold import DEFAULT_GOLD_K
from pairdex.wording import duration

EXAMPLES = (
    "pairdex gold my-collection queries.h5 --out gold.h5",
    "pairdex gold my-collection queries.npy --out gold.h5 -k 1000 --on text",
)

OutOption = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="HDF5 file to write: knns (ids that begin at 1) and dists (1 - cos)."
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="Compute the products with PyTorch on this device, such as cuda (default: the CPU, "
        "without PyTorch). Needs the extra: pip install 'pairdex[cuda]'.",
    ),
]


def command(
    collection: CollectionArgument,
    queries: QueriesArgument,
    out: OutOption,
    k: KOption = DEFAULT_GOLD_K,
    on: SpaceOption = "image",
    device: DeviceOption = None,
    no_codes: NoCodesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute the exact nearest rows of queries: a gold standard.

    The result is certified: a proven error bound shows that no nearer row was missed.
    """
    with progress_bars() as progress:
        report = pairdex.gold(
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
