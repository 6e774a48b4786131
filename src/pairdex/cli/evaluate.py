"""`pairdex evaluate`: recall, speed and operating points of result files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pairdex.cli.output import JsonOption, print_json, printable
from pairdex.errors import InvalidArgument
from pairdex.evaluation.evaluate import DEFAULT_K, Evaluation, evaluate

_WIDE = 200  # columns that a table may take where there is no terminal to fit


def command(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS... GOLD",
            help="Result files or folders of them (HDF5 with knns), and last the gold standard.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("-k", help="How many neighbours count.")] = DEFAULT_K,
    gold: Annotated[
        list[str] | None,
        typer.Option(help="A further gold standard, of other queries; may be repeated."),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            help="Recalls to tell the fastest runs at, as 0.8,0.9; SISAP's for this k by default."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw recall against speed to FILE.png or FILE.svg.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the runs to FILE.csv.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare result files with a gold standard: recall, speed, operating points."""
    if len(files) < 2:
        raise typer.BadParameter("expected result files or folders, and a gold standard last")
    evaluation = evaluate(
        files[:-1],
        [files[-1], *(gold or [])],
        k=k,
        thresholds=_numbers(thresholds),
        plot=plot,
        csv=csv,
    )
    if as_json:
        print_json(evaluation.as_json())
        return
    print_evaluation(evaluation)
    for written in filter(None, (csv, plot)):
        sys.stdout.write(f"written to {written}\n")


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the runs, the operating points and what had to be recognised."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_WIDE)
    console.print(_runs_table(evaluation))
    if evaluation.points:
        sys.stdout.write("\n")
        console.print(_points_table(evaluation))
    _print_notes(evaluation)


def _runs_table(evaluation: Evaluation) -> Table:
    k = evaluation.runs[0].k
    table = _table("", "algorithm", "params", "queries", f"recall@{k}", "with ties", "QPS", "build")
    for run, front in zip(evaluation.runs, evaluation.fronts, strict=True):
        kinds = " ".join(f"{kind} {recall:.3f}" for kind, recall in run.recall_by_kind.items())
        table.add_row(
            "*" if front else "",
            printable(run.name),
            printable(run.params or ""),
            kinds or f"{run.n:,} {run.queries or ''}".strip(),
            f"{run.recall:.4f}",
            f"{run.recall_ties:.4f}",
            "-" if run.qps is None else f"{run.qps:,.1f}",
            "-" if run.buildtime is None else f"{run.buildtime:,.1f} s",
        )
    if any(evaluation.fronts):
        table.caption = "* no other run is both faster and better"
        table.caption_justify = "left"
        table.caption_style = "dim"
    return table


def _points_table(evaluation: Evaluation) -> Table:
    k = evaluation.runs[0].k
    table = _table("", "fastest with", "queries", "recall", "QPS", "params")
    for point in evaluation.points:
        run = point.run
        row = (
            ("-", "-", "none reaches it")
            if run is None
            else (
                f"{point.recall:.4f}",
                f"{run.qps:,.1f}",
                printable(run.params or ""),
            )
        )
        table.add_row(
            f"recall@{k} {point.threshold}", printable(point.group[0]), point.kind or "", *row
        )
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        is_number = name.startswith(("recall", "with", "QPS", "build"))
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def _print_notes(evaluation: Evaluation) -> None:
    """Print every note once, with the files that it is of."""
    noted: dict[str, list[str]] = {}
    for run in evaluation.runs:
        for note in run.notes:
            noted.setdefault(note, []).append(run.file)
    lines = [
        *evaluation.notes,
        *(
            f"{files[0] if len(files) == 1 else f'{len(files)} results'}: {note}"
            for note, files in noted.items()
        ),
        *(f"{path}: no result file, passed over" for path in evaluation.passed_over),
    ]
    if lines:
        sys.stdout.write("\n" + "".join(f"note: {printable(line)}\n" for line in lines))


def _numbers(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidArgument(
            f"the thresholds are {text!r}, expected recalls as in 0.8,0.9", field="thresholds"
        ) from None
