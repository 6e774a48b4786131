"""Plot recall against queries per second, in print quality.

The same runs give the same bytes: the files hold neither times nor random names.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument, MissingExtra
from pairdex.evaluation.points import Threshold, pareto
from pairdex.evaluation.runs import View
from pairdex.files import atomic
from pairdex.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_plot", "plot_runs"]

_SUFFIXES = (".png", ".svg")
_DPI = 300
_PANEL_INCHES = (4.4, 3.3)
_PANELS_A_ROW = 3
_NARROW = 100  # below this ratio of largest to smallest speed, add labels
_LINE_POINTS = 9  # height of a label
_LETTER_POINTS = 4.3  # mean width of a letter of a label
_POINT = 3.5  # half the size of a marker, in points
_LINE = 1.0  # half the width of a curve, in points
_OUTSIDE = 10  # a label outside the axes is this much worse than one on a curve
_BEYOND = 60  # points beyond the right edge where a label may end
_LABELLED = 7  # beyond this number of algorithms, use a legend

# Okabe & Ito's colour-blind-safe palette; purple and yellow are darker, to be legible
# as text on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#000000", "#B8860B", "#56B4E9")
_MARKERS = "osD^vhp"
_GREY = "#6b6b6b"

_STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so it is the same on every machine
    "font.size": 8,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#333333",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "ytick.minor.width": 0.5,
    "svg.hashsalt": "pairdex",
}


def check_plot(path: Path) -> None:
    """Raise InvalidArgument or MissingExtra if a plot cannot be written to this file name."""
    if path.suffix not in _SUFFIXES:
        raise InvalidArgument(
            f"cannot write a plot to {path}: got the suffix {path.suffix!r}, "
            f"expected {' or '.join(_SUFFIXES)}",
            field="plot",
        )
    try:
        import matplotlib  # noqa: F401, PLC0415 - only who plots needs it
    except ImportError as error:
        raise MissingExtra(
            "plotting needs matplotlib, which is not installed; run: pip install 'pairdex[plot]'"
        ) from error


def plot_runs(
    path: Path, views: Sequence[View], *, k: int, thresholds: Sequence[Threshold]
) -> None:
    """Draw the timed runs to a PNG or SVG file, with one panel per task and kind of queries.

    Raises
    ------
    InvalidArgument, MissingExtra, WriteFailed
        No run has a time; the suffix is neither .png nor .svg; matplotlib is missing; the disk is
        full.
    """
    check_plot(path)
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    timed = [view for view in views if view.run.qps is not None]
    if not timed:
        raise InvalidArgument(
            "no run has a querytime, so there is no speed to plot: drop --plot", field="plot"
        )
    panels = _panels(timed)
    names = list(dict.fromkeys(view.run.name for view in timed))
    columns = min(len(panels), _PANELS_A_ROW)
    rows = -(-len(panels) // columns)
    image = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure = Figure((_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.set_visible(False)
                continue
            title, members = panels[place]
            _draw(axes, members, names, thresholds)
            axes.set_title(title, loc="left", fontsize=8, color=_GREY)
            axes.set_xlabel(f"recall@{k}")
            if place % columns == 0:
                axes.set_ylabel("queries per second")
        if len(names) > _LABELLED:
            handles = grid.flat[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
        metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
        figure.savefig(image, format=path.suffix[1:], dpi=_DPI, metadata=metadata)
    atomic.write_bytes(path, image.getvalue())


def _panels(views: Sequence[View]) -> list[tuple[str, list[View]]]:
    """Group the views by task and kind of queries, each group with a title."""
    panels: dict[tuple[str, ...], list[View]] = {}
    for view in views:
        _, data, size, task, dataset = view.run.group
        panels.setdefault((data, size, task, dataset, view.kind or ""), []).append(view)
    return [(_title(members[0]), members) for members in panels.values()]


def _title(view: View) -> str:
    run = view.run
    rows = counted(run.size, "row") if isinstance(run.size, int) else run.size
    queries = counted(run.n, f"{view.kind} query" if view.kind else "query")
    if run.recall_by_kind:
        queries = f"{view.kind} queries"
    parts = (run.data or run.dataset, rows, run.task, queries)
    return " · ".join(str(part) for part in parts if part)


def _draw(
    axes: Axes, views: Sequence[View], names: Sequence[str], thresholds: Sequence[Threshold]
) -> None:
    axes.set_yscale("log")
    axes.grid(visible=True, which="major", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    starts = []
    for number, name in enumerate(names):
        points = [(v.recall, v.run.qps or 0.0) for v in views if v.run.name == name]
        if points:
            starts.append((name, number, _draw_curve(axes, points, name, number)))
    _draw_front(axes, [(view.recall, view.run.qps or 0.0) for view in views])
    _set_limits(axes, views)
    for threshold in thresholds:
        if axes.get_xlim()[0] < threshold.recall < axes.get_xlim()[1]:
            _draw_threshold(axes, threshold)
    if len(names) <= _LABELLED:
        _label(axes, starts, [(view.recall, view.run.qps or 0.0) for view in views])


def _draw_curve(
    axes: Axes, points: list[tuple[float, float]], name: str, number: int
) -> list[tuple[float, float]]:
    """Draw an algorithm's runs and join those on its front; return the front, the fastest first."""
    colour = _COLOURS[number % len(_COLOURS)]
    marker = _MARKERS[(number + number // len(_COLOURS)) % len(_MARKERS)]
    is_front = pareto(points)
    front = sorted({point for point, best in zip(points, is_front, strict=True) if best})
    behind = [point for point, best in zip(points, is_front, strict=True) if not best]
    axes.plot(
        *zip(*front, strict=True),
        color=colour,
        marker=marker,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        linewidth=1.3,
        label=name,
        zorder=3,
    )
    if behind:
        axes.plot(
            *zip(*behind, strict=True),
            linestyle="none",
            marker=marker,
            markersize=4,
            markerfacecolor="white",
            markeredgecolor=colour,
            markeredgewidth=0.8,
            alpha=0.7,
            zorder=2,
        )
    return front


def _draw_front(axes: Axes, points: list[tuple[float, float]]) -> None:
    """Draw the front of all runs as a broad pale band behind the curves."""
    front = sorted({p for p, best in zip(points, pareto(points), strict=True) if best})
    axes.plot(
        *zip(*front, strict=True),
        color="#000000",
        alpha=0.09,
        linewidth=7,
        solid_capstyle="round",
        solid_joinstyle="round",
        zorder=1,
    )


def _set_limits(axes: Axes, views: Sequence[View]) -> None:
    """Add margins around the runs; extend recall beyond 0 and 1 by at most one marker."""
    recalls = [view.recall for view in views]
    low, high = min(recalls), max(recalls)
    room = max(0.06 * (high - low), 0.005)
    axes.set_xlim(max(low - room, -0.02), min(high + room, 1 + room / 2))
    speeds = [view.run.qps or 0.0 for view in views]
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, min(speeds) / 1.6), max(top, max(speeds) * 1.6))
    _set_speed_ticks(axes)


def _set_speed_ticks(axes: Axes) -> None:
    """Label speeds as plain numbers; on a short axis, also at 2 and 5 times powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    bottom, top = axes.get_ylim()
    is_narrow = top / bottom < _NARROW
    axes.yaxis.set_major_locator(LogLocator(10))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_locator(LogLocator(10, subs=(2, 5) if is_narrow else range(2, 10)))
    axes.yaxis.set_minor_formatter(plain if is_narrow else NullFormatter())
    axes.tick_params(axis="y", which="minor", labelsize=7.5)


def _draw_threshold(axes: Axes, threshold: Threshold) -> None:
    axes.axvline(threshold.recall, color=_GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        str(threshold),
        (threshold.recall, 0),
        xycoords=("data", "axes fraction"),
        xytext=(2.5, 3),
        textcoords="offset points",
        color=_GREY,
        fontsize=6.5,
    )


def _label(
    axes: Axes,
    curves: list[tuple[str, int, list[tuple[float, float]]]],
    points: Sequence[tuple[float, float]],
) -> None:
    """Write each algorithm's name near the fastest end of its curve, where it covers nothing.

    It should cover no point, no curve and no other name.

    Places around the end are tried, the nearest first. If all cover something, the one that covers
    least is taken.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes are of a figure"
    figure.draw_without_rendering()  # fixes the positions of the points
    scale = 72 / figure.dpi
    taken = [
        _Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT)
        for x, y in axes.transData.transform(points) * scale
    ]
    for _, _, front in curves:
        taken += _along(axes.transData.transform(front) * scale)
    edges = axes.get_window_extent()
    inside = _Box(edges.x0 * scale, edges.y0 * scale, edges.x1 * scale + _BEYOND, edges.y1 * scale)
    for name, number, front in curves:
        x, y = axes.transData.transform(front[0]) * scale
        width = _LETTER_POINTS * len(name)
        boxes = [
            (dx, dy, _Box(x + dx, y + dy, x + dx + width, y + dy + _LINE_POINTS))
            for dx, dy in _label_places(width)
        ]
        dx, dy, box = min(
            boxes,
            key=lambda one: sum(map(one[2].overlap, taken)) + _OUTSIDE * one[2].outside(inside),
        )
        taken.append(box)
        axes.annotate(
            name,
            front[0],
            xytext=(dx, dy),
            textcoords="offset points",
            color=_COLOURS[number % len(_COLOURS)],
            fontsize=7.5,
            va="bottom",
            annotation_clip=False,
            zorder=4,
        )


@dataclass(frozen=True)
class _Box:
    """A rectangle in points."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        """Return the area that two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def outside(self, other: _Box) -> float:
        """Return the area of this box that lies outside another."""
        area = (self.right - self.left) * (self.top - self.bottom)
        return area - self.overlap(other)


def _along(corners: NDArray[np.float64]) -> Iterator[_Box]:
    """Yield small boxes along the line through some points, (n, 2)."""
    for first, last in itertools.pairwise(corners):
        steps = max(int(np.linalg.norm(last - first) / (2 * _LINE)), 1)
        for x, y in first + (last - first) * np.linspace(0, 1, steps)[:, None]:
            yield _Box(x - _LINE, y - _LINE, x + _LINE, y + _LINE)


def _label_places(width: float) -> Iterator[tuple[float, float]]:
    """Yield the lower left corners of a label, relative to its point, the nearest first."""
    middle = -_LINE_POINTS / 2
    for away in (5.0, 14.0, 24.0, 36.0, 50.0):
        yield (1 - 3, away)  # above
        yield (away + 2, middle)  # right
        yield (1 - 3, -away - _LINE_POINTS)  # below
        yield (-width - away - 2, middle)  # left
        yield (away, away)
        yield (-width - away, away)
        yield (away, -away - _LINE_POINTS)
        yield (-width - away, -away - _LINE_POINTS)
