"""Operating points: the fastest search that reaches a recall, and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pairdex.errors import InvalidArgument
from pairdex.evaluation.runs import Run, View

__all__ = ["OperatingPoint", "Threshold", "operating_points", "pareto", "thresholds_for"]


@dataclass(frozen=True, order=True)
class Threshold:
    """A target recall to reach, or with `strict` to exceed."""

    recall: float
    strict: bool = False

    def __str__(self) -> str:
        return f"{'>' if self.strict else '≥'} {self.recall:g}"

    def is_met(self, recall: float) -> bool:
        """Return whether a recall meets the threshold."""
        return recall > self.recall if self.strict else recall >= self.recall


# SISAP 2023: recall@10 > 0.9. SISAP 2024: recall@30 of 0.8 in tasks 1 and 2, 0.4 in task 3. Graphs of
# 2025 and 2026: recall@15 of 0.8.
_SISAP = {
    10: (Threshold(0.9, strict=True),),
    15: (Threshold(0.8),),
    30: (Threshold(0.8), Threshold(0.4)),
}
_OTHERWISE = (Threshold(0.9),)


@dataclass(frozen=True)
class OperatingPoint:
    """The fastest run of an algorithm that meets a threshold; `run` is None if none does."""

    threshold: Threshold
    kind: str | None
    group: tuple[str, ...]
    run: Run | None
    recall: float | None


def thresholds_for(k: int, asked: Sequence[float] | None) -> tuple[Threshold, ...]:
    """Return the requested thresholds, or SISAP's for this k.

    Raises
    ------
    InvalidArgument
        A recall is outside 0 to 1.
    """
    for recall in asked or ():
        if not 0 <= recall <= 1:
            raise InvalidArgument(
                f"the threshold is {recall:g}, expected a recall from 0 to 1", field="thresholds"
            )
    if asked:
        return tuple(Threshold(recall) for recall in dict.fromkeys(asked))
    return _SISAP.get(k, _OTHERWISE)


def operating_points(
    views: Iterable[View], thresholds: Iterable[Threshold]
) -> list[OperatingPoint]:
    """Return the fastest run for each threshold, kind of queries and algorithm.

    Runs without a time are left out. Within a threshold and kind, the fastest come first.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[View]] = {}
    for view in views:
        if view.run.qps is not None:
            groups.setdefault((view.kind or "", view.run.group), []).append(view)
    points = [_best(threshold, members) for threshold in thresholds for members in groups.values()]
    order = {threshold: place for place, threshold in enumerate(thresholds)}
    return sorted(
        points,
        key=lambda point: (
            order[point.threshold],
            point.kind or "",
            -((point.run and point.run.qps) or 0),
            point.group,
        ),
    )


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return for each (recall, qps) whether it is on the Pareto front.

    Examples
    --------
    >>> pareto([(0.9, 100.0), (0.8, 100.0), (0.5, 300.0), (0.9, 100.0)])
    [True, False, True, True]
    """
    order = sorted(range(len(points)), key=lambda i: (-points[i][0], -points[i][1]))
    is_front = [False] * len(points)
    fastest, same = -1.0, (-1.0, -1.0)
    for i in order:
        if points[i][1] > fastest or points[i] == same:
            is_front[i], fastest, same = True, points[i][1], points[i]
    return is_front


def _best(threshold: Threshold, views: list[View]) -> OperatingPoint:
    """Return the fastest view that meets the threshold; ties go to the higher recall."""
    enough = [view for view in views if threshold.is_met(view.recall)]
    best = max(enough, key=lambda view: (view.run.qps or 0, view.recall), default=None)
    return OperatingPoint(
        threshold,
        views[0].kind,
        views[0].run.group,
        None if best is None else best.run,
        None if best is None else best.recall,
    )
