"""`pairdex project`: PCA projections and binary sketches of a collection's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_bars
from pairdex.derived.projections.ceiling import CEILING_KS, Ceiling
from pairdex.derived.projections.fitting import SketchMethod
from pairdex.derived.projections.project import project


def command(
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    name: Annotated[
        str, typer.Argument(help="pca32, pca96, pca of another number of components, or hamming.")
    ],
    model: Annotated[
        Path | None, typer.Option(help="Use the model in this file instead of fitting one.")
    ] = None,
    fit_rows: Annotated[
        int | None,
        typer.Option(
            help="Fit to so many rows, at equal distances; by default to all (sketches: 65,536)."
        ),
    ] = None,
    method: Annotated[
        SketchMethod | None,
        typer.Option(help="How sketches are made; rotations unless the projection has a model."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of what sketches draw at random; 0.")] = None,
    queries: Annotated[
        str | None,
        typer.Option(
            help="Query vectors (.npy, .npz, .h5, .fvecs; FILE:NAME picks an array) to project too."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The HDF5 file for the projected queries.")
    ] = None,
    ceiling: Annotated[
        bool,
        typer.Option(
            "--ceiling",
            help="Tell how much of the exact neighbours brute force in the projection finds: of "
            "--queries, or of 1,000 of the rows.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Project all vectors to PCA coordinates or binary sketches, and queries with the same model."""
    with progress_bars() as progress:
        report = project(
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
        print_json(
            {
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
        )
        return
    variance = report.explained_variance
    lines: dict[str, object] = {
        "projection": f"{report.name}, {report.dim} {'bits' if name == 'hamming' else 'components'}",
        "method": report.method,
        "rows": report.rows,
        "projected now": report.projected,
        "fitted to": "another's rows" if report.fit_rows is None else f"{report.fit_rows:,} rows",
    }
    if variance is not None:
        lines["variance"] = f"{variance:.1%} explained"
    if out is not None:
        lines["queries in"] = out
    print_lines(lines | {"time": duration(report.seconds)})
    if report.recall_ceiling is not None:
        _print_ceiling(report.recall_ceiling)


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


def _print_ceiling(ceilings: list[Ceiling]) -> None:
    typer.echo("\nbrute force in the projection, against the exact neighbours")
    typer.echo("queries       n  " + "  ".join(f"recall@{k}" for k in CEILING_KS) + "  time")
    for one in ceilings:
        recall = "  ".join(f"{one.recall[k]:>9.3f}" for k in CEILING_KS)
        typer.echo(f"{one.queries:<7}{one.n:>8,}  {recall}  {duration(one.seconds)}")
