"""`pairdex evaluate`: recall, speed and operating points of result files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import pairdex
from pairdex.cli.evaluation_tables import print_evaluation
from pairdex.cli.options import JsonOption, read_numbers
from pairdex.cli.output import print_json
from pairdex.evaluation.evaluate import DEFAULT_K

EXAMPLES = (
    "pairdex evaluate results/ gold.h5",
    "pairdex evaluate a.h5 b.h5 gold.h5 -k 100 --plot recall.svg --csv runs.csv",
)

FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULTS... GOLD",
        help="Result files or folders of them (HDF5 with knns), then the gold standard.",
        show_default=False,
    ),
]
KOption = Annotated[
    int, typer.Option("-k", metavar="N", help="Number of neighbours that count: recall@N.")
]
GoldOption = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="Another gold standard, for other queries (repeatable)."),
]
ThresholdsOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Report the fastest run at each of these recalls, such as 0.8,0.9 (default: SISAP's "
        "thresholds for this k).",
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Plot recall against speed to FILE (.png or .svg). Needs the extra: pip install "
        "'pairdex[plot]'.",
    ),
]
CsvOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the runs to FILE (.csv).")
]
LeaderboardOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Write the fastest runs at each recall, ranked, to FILE (.md, .tex or .csv; repeatable).",
    ),
]


def command(
    files: FilesArgument,
    k: KOption = DEFAULT_K,
    gold: GoldOption = None,
    thresholds: ThresholdsOption = None,
    plot: PlotOption = None,
    csv: CsvOption = None,
    leaderboard: LeaderboardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare result files with a gold standard: recall and speed."""
    if len(files) < 2:
        raise typer.BadParameter("expected result files or folders, and a gold standard last")
    recalls = None if thresholds is None else read_numbers(thresholds)
    evaluation = pairdex.evaluate(
        files[:-1],
        [files[-1], *(gold or [])],
        k=k,
        thresholds=recalls,
        plot=plot,
        csv=csv,
        leaderboard=leaderboard or (),
    )
    if as_json:
        print_json(evaluation.as_json())
        return
    print_evaluation(evaluation)
    for written in filter(None, (csv, plot, *(leaderboard or ()))):
        sys.stdout.write(f"written to {written}\n")
