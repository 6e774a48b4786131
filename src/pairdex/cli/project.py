"""`pairdex project`: PCA projections and binary sketches of a collection's vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pairdex import api
from pairdex.cli.output import JsonOption, duration, print_json, print_lines, progress_steps
from pairdex.projections.fitting import SketchMethod


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
    as_json: JsonOption = False,
) -> None:
    """Project all vectors to PCA coordinates or binary sketches, and queries with the same model."""
    with progress_steps() as progress:
        report = api.project(
            collection,
            name,
            model=model,
            fit_rows=fit_rows,
            method=method,
            seed=seed,
            queries=queries,
            out=out,
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
                "recall_ceiling": None,
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
