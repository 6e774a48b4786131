"""Printing an evaluation: a table of runs, a table of operating points, and notes."""

from __future__ import annotations

import sys

from rich.table import Table

from pairdex.cli.output import new_table, plain_console, printable
from pairdex.evaluation.evaluate import Evaluation

__all__ = ["print_evaluation"]


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the runs, the operating points and the notes."""
    console = plain_console()
    console.print(_runs_table(evaluation))
    if evaluation.points:
        sys.stdout.write("\n")
        console.print(_points_table(evaluation))
    _print_notes(evaluation)


def _runs_table(evaluation: Evaluation) -> Table:
    recall = f"recall@{evaluation.runs[0].k}"
    table = new_table(
        ["", "algorithm", "params", "queries", recall, "with ties", "QPS", "build"],
        right={recall, "with ties", "QPS", "build"},
    )
    for run, front in zip(evaluation.runs, evaluation.fronts, strict=True):
        kinds = " ".join(f"{kind} {value:.3f}" for kind, value in run.recall_by_kind.items())
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
        table.caption = "* no other run is both faster and more accurate"
        table.caption_justify = "left"
        table.caption_style = "dim"
    return table


def _points_table(evaluation: Evaluation) -> Table:
    k = evaluation.runs[0].k
    table = new_table(
        ["", "fastest with", "queries", "recall", "QPS", "params"], right={"recall", "QPS"}
    )
    for point in evaluation.points:
        run = point.run
        row = (
            ("-", "-", "no run reaches it")
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


def _print_notes(evaluation: Evaluation) -> None:
    """Print each note once, with the files it concerns."""
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
        *(f"{path}: skipped: {why}" for path, why in evaluation.passed_over.items()),
    ]
    if lines:
        sys.stdout.write("\n" + "".join(f"note: {printable(line)}\n" for line in lines))
