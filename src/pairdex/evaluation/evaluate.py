"""Evaluating result files against gold standards: recall, speed, operating points."""

from __future__ import annotations

import csv as csv_files
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument
from pairdex.evaluation.plot import check_plot, plot_runs
from pairdex.evaluation.points import OperatingPoint, operating_points, pareto, thresholds_for
from pairdex.evaluation.results import find_results, read_result
from pairdex.evaluation.runs import Run, View, compare, views
from pairdex.files import atomic
from pairdex.reference.read_gold import read_gold

__all__ = ["DEFAULT_K", "Evaluation", "evaluate"]

DEFAULT_K = 10


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    runs
        One of each result file, in the order of the files.
    fronts
        Of each run, the kinds of queries ("" where none is said) for which no other run is both
        faster and better.
    points
        The fastest run of each algorithm at each threshold.
    notes
        What had to be recognised in the gold standards.
    passed_over
        HDF5 files in the folders that are no results.
    """

    runs: list[Run]
    fronts: list[tuple[str, ...]]
    points: list[OperatingPoint]
    notes: list[str]
    passed_over: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON can carry."""
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
) -> Evaluation:
    """Compare result files with the gold standard of their queries.

    Parameters
    ----------
    results
        A result file of SISAP's form, a folder of them, or several of these.
    gold
        A gold standard, or several: each result belongs to that of its queries.
    k
        How many neighbours of each query count.
    thresholds
        Recalls at which the fastest runs are told; SISAP's for this k by default.
    plot
        A PNG or SVG file for recall against queries a second (extra `[plot]`).
    csv
        A CSV file for the runs; file names in it are relative to its folder.

    Raises
    ------
    PairdexError
        Files that are missing, damaged or of other queries or another collection; a k beyond the
        gold standard. Nothing is written then.
    """
    if plot is not None:
        check_plot(Path(plot))
    if csv is not None and Path(csv).suffix != ".csv":
        raise InvalidArgument(
            f"cannot write a table to {csv}: expected a name that ends in .csv", field="csv"
        )
    golds = [read_gold(source) for source in _several(gold)]
    for one in golds:
        one.check_k(k)
    wanted = thresholds_for(k, None if thresholds is None else list(thresholds))
    found, passed = find_results(_several(results))
    runs = [compare(read_result(path, golds), k) for path in found]
    seen = list(views(runs))
    evaluation = Evaluation(
        runs=runs,
        fronts=_fronts(runs, seen),
        points=operating_points(seen, wanted),
        notes=[f"{one.path}: {note}" for one in golds for note in one.notes],
        passed_over=[path for path in passed if path not in {one.path for one in golds}],
    )
    if plot is not None:
        plot_runs(Path(plot), seen, k=k, thresholds=wanted)  # refuses runs without times
    if csv is not None:
        _write_csv(Path(csv), evaluation)
    return evaluation


def _several(paths: StrPath | Iterable[StrPath]) -> list[StrPath]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def _fronts(runs: Sequence[Run], seen: Sequence[View]) -> list[tuple[str, ...]]:
    """Return of each run the kinds of queries for which no other surpasses it on its task."""
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
    """Write a line for each run; what is unknown is empty."""
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
