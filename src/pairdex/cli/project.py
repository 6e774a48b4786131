"""`pairdex project`: PCA projections and binary sketches of a collection's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pairdex
from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, print_table, progress_bars
from pairdex.derived.projections.methods import CEILING_KS, SketchMethod
from pairdex.wording import counted, duration

if TYPE_CHECKING:
    from pairdex.derived.projections.ceiling import Ceiling
    from pairdex.derived.projections.write import ProjectReport

EXAMPLES = (
    "pairdex project my-collection pca96",
    "pairdex project my-collection hamming --ceiling",
    "pairdex project my-collection pca32 --queries q.h5 --out q-pca32.h5",
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Projection: pca32, pca96, pcaN for N components, or hamming for sketches of 1,024 "
        "bits.",
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Use the projection model in FILE (default: fit one to the vectors)."
    ),
]
FitRowsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Fit to N evenly spaced rows (default: all rows; 65,536 for --method rotations).",
    ),
]
MethodOption = Annotated[
    SketchMethod | None,
    typer.Option(
        help="How to make sketches (default: as the existing model was made, else rotations)."
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(metavar="N", help="Random seed of sketches (default: 0).")
]
QueriesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Also project the query vectors in FILE. Formats: .npy, .npz, .h5, .fvecs. Write "
        "FILE:NAME to pick an array.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="HDF5 file for the projected queries.")
]
CeilingOption = Annotated[
    bool,
    typer.Option(
        "--ceiling",
        help="Measure the recall of brute force in the projection, for --queries or else for "
        "1,000 rows: no search there can find more.",
    ),
]


def command(
    collection: CollectionArgument,
    name: NameArgument,
    model: ModelOption = None,
    fit_rows: FitRowsOption = None,
    method: MethodOption = None,
    seed: SeedOption = None,
    queries: QueriesOption = None,
    out: OutOption = None,
    ceiling: CeilingOption = False,
    as_json: JsonOption = False,
) -> None:
    """Project all vectors to PCA coordinates or binary sketches.

    Searches can then use the projection with --on. Run the command again to resume, or after parts were
    added.
    """
    with progress_bars() as progress:
        report = pairdex.project(
            collection,
            name,
            model=model,
            fit_rows=fit_rows,
            method=method,
            seed=seed,
            queries=queries,
            out=out,
            ceiling=ceiling,
            progress=progress,
        )
    if as_json:
        print_json(_as_json(report))
    else:
        _print_report(report, out)


def _as_json(report: ProjectReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "rows": report.rows,
        "dim": report.dim,
        "method": report.method,
        "fit_rows": report.fit_rows,
        "explained_variance": report.explained_variance,
        "recall_ceiling": _ceiling_as_json(report.recall_ceiling),
        "projected": report.projected,
        "seconds": report.seconds,
    }


def _ceiling_as_json(ceilings: list[Ceiling] | None) -> dict[str, Any] | None:
    if ceilings is None:
        return None
    return {
        one.queries: {
            "n": one.n,
            **{f"recall@{k}": recall for k, recall in one.recall.items()},
            "seconds": one.seconds,
        }
        for one in ceilings
    }


def _print_report(report: ProjectReport, out: Path | None) -> None:
    unit = "bits" if report.name == "hamming" else "components"
    fitted_to = "another collection" if report.fit_rows is None else counted(report.fit_rows, "row")
    lines: dict[str, object] = {
        "projection": f"{report.name}, {report.dim:,} {unit}",
        "method": report.method,
        "rows": report.rows,
        "projected now": report.projected,
        "fitted to": fitted_to,
    }
    if report.explained_variance is not None:
        lines["variance"] = f"{report.explained_variance:.1%} explained"
    if out is not None:
        lines["queries in"] = out
    print_lines(lines | {"time": duration(report.seconds)})
    if report.recall_ceiling is not None:
        _print_ceiling(report.recall_ceiling)


def _print_ceiling(ceilings: list[Ceiling]) -> None:
    typer.echo("\nRecall of brute force in the projection, against the exact neighbours:")
    print_table(
        ["queries", "n", *(f"recall@{k}" for k in CEILING_KS), "time"],
        [
            [
                one.queries,
                f"{one.n:,}",
                *(f"{one.recall[k]:.3f}" for k in CEILING_KS),
                duration(one.seconds),
            ]
            for one in ceilings
        ],
        right={"n", "time", *(f"recall@{k}" for k in CEILING_KS)},
    )
