"""`pairdex graph`: the k nearest rows of every row."""

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
    SpaceOption,
)
from pairdex.cli.output import print_json, print_lines, progress_bars
from pairdex.reference.graph import DEFAULT_GRAPH_K, DEFAULT_GRAPH_RECALL, GraphReport
from pairdex.wording import counted, duration

EXAMPLES = (
    "pairdex graph my-collection --out graph.h5",
    "pairdex graph my-collection --out graph.h5 -k 30 --recall 0.98",
    "pairdex graph my-collection --out graph.parquet --exact",
    "pairdex graph my-collection --out graph.h5 --report rows.parquet",
)

_SHOWN = 5  # outliers and hubs

OutOption = Annotated[
    Path, typer.Option(metavar="FILE", help="Write the graph to this .h5 or .parquet file.")
]
RecallOption = Annotated[
    float,
    typer.Option(metavar="SHARE", help="Work until a sample of the rows reaches this recall."),
]
ExactOption = Annotated[bool, typer.Option("--exact", help="Find the true nearest rows.")]
GroupOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Write knns and dists in this HDF5 group, such as allknn of SISAP 2025.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write to this .parquet file how far each row is from its neighbours, and of how many it is one.",
    ),
]


GraphClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="With --exact or a projection: work on the nodes of this Ray cluster: host:port, or auto.",
    ),
]


def command(
    collection: CollectionArgument,
    out: OutOption,
    k: KOption = DEFAULT_GRAPH_K,
    on: SpaceOption = "image",
    recall: RecallOption = DEFAULT_GRAPH_RECALL,
    exact: ExactOption = False,
    group: GroupOption = None,
    report: ReportOption = None,
    cluster: GraphClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the k nearest rows of every row, without the row itself.

    In a projection, the graph is exact, by the projection's own distance. HDF5 files hold knns (ids from 1) and dists in SISAP's form. The recall is measured on a sample of the
    rows, and reported.
    """
    with progress_bars() as progress:
        made = pairdex.graph(
            collection,
            out,
            k=k,
            on=on,
            recall=recall,
            exact=exact,
            group=group,
            report=report,
            cluster=cluster,
            progress=progress,
        )
    if as_json:
        print_json(asdict(made))
        return
    _show(made, out)


def _show(made: GraphReport, out: Path) -> None:
    measured = (
        "exact" if made.exact else f"{made.recall:.3f} (of {counted(made.recall_rows, 'row')})"
    )
    print_lines(
        {
            "rows": made.rows,
            "k": made.k,
            "recall": measured,
            "passes": ", ".join(made.passes),
            "farthest from others": ", ".join(
                f"{one.id} ({one.distance:.3g})" for one in made.outliers[:_SHOWN]
            ),
            "neighbour of most": ", ".join(
                f"{one.id} ({one.neighbour_of:,})" for one in made.hubs[:_SHOWN]
            ),
            "time": duration(made.seconds),
            "written to": out,
        }
    )
