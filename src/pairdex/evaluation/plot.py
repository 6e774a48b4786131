"""Plot recall against queries per second, in print quality.

The same runs give the same bytes: the files hold neither times nor random names.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pairdex.errors import InvalidArgument, MissingExtra
from pairdex.evaluation.points import Threshold, pareto
from pairdex.evaluation.runs import View
from pairdex.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_plot", "plot_runs"]

_SUFFIXES = (".png", ".svg")
_DPI = 300
_PANEL_INCHES = (4.4, 3.3)
_PANELS_A_ROW = 3
_RIGHT_EDGE = 0.06  # share of the width
_NARROW = 100  # below this ratio of largest to smallest speed, add labels
_LINE_POINTS = 9  # height of a label
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
    rows = f"{run.size:,} rows" if isinstance(run.size, int) else run.size
    queries = f"{run.n:,} {view.kind} queries" if view.kind else f"{run.n:,} queries"
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
        _label(axes, starts)


def _draw_curve(
    axes: Axes, points: list[tuple[float, float]], name: str, number: int
) -> tuple[float, float]:
    """Draw an algorithm's runs and join those on its front; return the label's position."""
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
    return front[0]


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


def _label(axes: Axes, starts: list[tuple[str, int, tuple[float, float]]]) -> None:
    """Write each algorithm's name above the fastest end of its curve if curves are apart.

    At the right edge, write names beside the points and move overlapping names apart.
    """
    low, high = axes.get_xlim()
    is_right = [start[0] > high - _RIGHT_EDGE * (high - low) for _, _, start in starts]
    for (name, number, start), right in zip(starts, is_right, strict=True):
        if not right:
            _write(axes, name, number, start, xytext=(1, 4), va="bottom")
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes are of a figure"
    figure.draw_without_rendering()  # fixes the positions of the points
    beside = sorted(
        (one for one, right in zip(starts, is_right, strict=True) if right),
        key=lambda one: one[2][1],
    )
    last = float("-inf")
    for name, number, start in beside:
        at = float(axes.transData.transform(start)[1]) * 72 / figure.dpi
        last = max(at, last + _LINE_POINTS)
        _write(axes, name, number, start, xytext=(7, last - at), va="center")


def _write(
    axes: Axes,
    name: str,
    number: int,
    start: tuple[float, float],
    *,
    xytext: tuple[float, float],
    va: str,
) -> None:
    axes.annotate(
        name,
        start,
        xytext=xytext,
        textcoords="offset points",
        color=_COLOURS[number % len(_COLOURS)],
        fontsize=7.5,
        va=va,
        annotation_clip=False,
        zorder=4,
    )
