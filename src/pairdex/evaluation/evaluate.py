"""Evaluate result files against gold standards: recall, speed and operating points."""

from __future__ import annotations

import csv as csv_files
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.evaluation.leaderboard import check_leaderboard, write_leaderboard
from pairdex.evaluation.plot import check_plot, plot_runs
from pairdex.evaluation.points import OperatingPoint, operating_points, pareto, thresholds_for
from pairdex.evaluation.results import Found, find_results, read_result
from pairdex.evaluation.runs import Run, View, compare, views
from pairdex.files import atomic
from pairdex.files.neighbour_files import split_group
from pairdex.reference.read_gold import Gold, read_gold

__all__ = ["DEFAULT_K", "Evaluation", "evaluate"]

DEFAULT_K = 10


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes
    ----------
    runs
        One run per result file, in file order.
    fronts
        For each run, the kinds of queries ("" if unstated) for which it is on the Pareto front of
        speed and recall.
    points
        The fastest run of each algorithm at each threshold.
    notes
        Sentences about what was inferred from the gold standards.
    passed_over
        The other HDF5 files in the folders, by path, and why each was not used.
    """

    runs: list[Run]
    fronts: list[tuple[str, ...]]
    points: list[OperatingPoint]
    notes: list[str]
    passed_over: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON-compatible values."""
        runs = [
            {**asdict(run), "pareto": bool(front), "notes": list(run.notes)}
            for run, front in zip(self.runs, self.fronts, strict=True)
        ]
        return {
            "runs": runs,
            "operating_points": [_point_as_json(point) for point in self.points],
            "notes": self.notes,
            "passed_over": self.passed_over,
        }


@checked
def evaluate(
    results: StrPath | Iterable[StrPath],
    gold: StrPath | Iterable[StrPath],
    *,
    k: int = DEFAULT_K,
    thresholds: Iterable[float] | None = None,
    plot: StrPath | None = None,
    csv: StrPath | None = None,
    leaderboard: StrPath | Iterable[StrPath] = (),
) -> Evaluation:
    """Compare result files with the gold standard of their queries.

    Parameters
    ----------
    results
        A result file in SISAP's format, a folder of them, or several of these.
    gold
        One or more gold standards. Each result is compared with the one for its queries.
    k
        Number of neighbours per query.
    thresholds
        Recalls at which to report the fastest runs. The default is SISAP's thresholds for this k.
    plot
        A PNG or SVG file to plot recall against queries per second (extra `[plot]`).
    csv
        A CSV file to write the runs to. File names in it are relative to its folder.
    leaderboard
        Files to write the operating points to, ranked: .md, .tex or .csv.

    Raises
    ------
    PairdexError
        A file is missing, damaged, or has other queries or another collection; k exceeds the gold
        standard. Nothing is written then.
    """
    if plot is not None:
        check_plot(Path(plot))
    if csv is not None and Path(csv).suffix != ".csv":
        raise InvalidArgument(
            f"cannot write a table to {csv}: expected a name that ends in .csv", field="csv"
        )
    boards = [Path(one) for one in _several(leaderboard)]
    for board in boards:
        check_leaderboard(board)
    golds = [read_gold(source) for source in _several(gold)]
    for one in golds:
        one.check_k(k)
    wanted = thresholds_for(k, None if thresholds is None else list(thresholds))
    runs, passed = _runs(find_results(_several(results)), golds, k)
    seen = list(views(runs))
    evaluation = Evaluation(
        runs=runs,
        fronts=_fronts(runs, seen),
        points=operating_points(seen, wanted),
        notes=[f"{one.path}: {note}" for one in golds for note in one.notes],
        passed_over=passed,
    )
    if plot is not None:
        plot_runs(Path(plot), seen, k=k, thresholds=wanted)  # raises if no run has a time
    if csv is not None:
        _write_csv(Path(csv), evaluation)
    for board in boards:
        write_leaderboard(board, evaluation.points, k=k)
    return evaluation


def _runs(found: Found, golds: Sequence[Gold], k: int) -> tuple[list[Run], dict[str, str]]:
    """Return the runs, and the files in folders that are not used.

    A file in a folder whose queries or collection are others is passed over, unless all are.
    """
    runs = {path: compare(read_result(path, golds), k) for path in dict.fromkeys(found.named)}
    own = {Path(split_group(one.path)[0]).resolve() for one in golds}
    passed = {
        path: why for path, why in found.passed_over.items() if Path(path).resolve() not in own
    }
    refused: Mismatch | None = None
    for path in found.listed:
        if path in runs:
            continue
        try:
            runs[path] = compare(read_result(path, golds), k)
        except Mismatch as error:
            passed[path], refused = str(error), error
    if refused is not None and not runs:
        raise refused
    return list(runs.values()), passed


def _several(paths: StrPath | Iterable[StrPath]) -> list[StrPath]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def _fronts(runs: Sequence[Run], seen: Sequence[View]) -> list[tuple[str, ...]]:
    """Return, per run, the kinds of queries for which it is on its task's Pareto front."""
    fronts: dict[int, list[str]] = {id(run): [] for run in runs}
    tasks: dict[tuple[str, ...], list[View]] = {}
    for view in seen:
        if view.run.qps is not None:
            tasks.setdefault((view.kind or "", *view.run.group[1:]), []).append(view)
    for (kind, *_), members in tasks.items():
        points = [(view.recall, view.run.qps or 0.0) for view in members]
        for view, is_front in zip(members, pareto(points), strict=True):
            if is_front:
                fronts[id(view.run)].append(kind)
    return [tuple(fronts[id(run)]) for run in runs]


def _point_as_json(point: OperatingPoint) -> dict[str, Any]:
    name, data, size, task, dataset = point.group
    run = point.run
    return {
        "threshold": point.threshold.recall,
        "strict": point.threshold.strict,
        "queries": point.kind,
        "algo": name,
        "data": data or None,
        "size": size or None,
        "task": task or None,
        "dataset": dataset or None,
        "recall": point.recall,
        "qps": run and run.qps,
        "params": run and run.params,
        "buildtime": run and run.buildtime,
        "file": run and run.file,
    }


def _write_csv(path: Path, evaluation: Evaluation) -> None:
    """Write one line per run; leave unknown values empty."""
    names = [field.name for field in fields(Run) if field.name not in ("recall_by_kind", "notes")]
    kinds = sorted({kind for run in evaluation.runs for kind in run.recall_by_kind})
    text = io.StringIO()
    writer = csv_files.writer(text, lineterminator="\n")
    writer.writerow([*names, *(f"recall_{kind}" for kind in kinds), "pareto", "notes"])
    for run, front in zip(evaluation.runs, evaluation.fronts, strict=True):
        shown = replace(run, file=os.path.relpath(run.file, path.parent))
        writer.writerow(
            [
                *("" if (value := getattr(shown, name)) is None else value for name in names),
                *(run.recall_by_kind.get(kind, "") for kind in kinds),
                int(bool(front)),
                "; ".join(run.notes),
            ]
        )
    atomic.write_bytes(path, text.getvalue().encode(errors="backslashreplace"))
