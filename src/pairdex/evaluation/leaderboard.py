"""Leaderboards: the fastest run of each algorithm at each recall, ranked, as Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pairdex.errors import InvalidArgument
from pairdex.evaluation.points import OperatingPoint
from pairdex.files import atomic

__all__ = ["check_leaderboard", "write_leaderboard"]

_COLUMNS = ("rank", "algorithm", "recall", "QPS", "build s", "memory MB", "params")
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "≥": r"$\geq$",
    }
)


@dataclass(frozen=True)
class _Board:
    """One ranking: of a task, a kind of queries and a threshold."""

    title: str
    rows: list[tuple[str, ...]]


def check_leaderboard(path: Path) -> None:
    """Raise InvalidArgument unless a leaderboard can be written to a file of this name."""
    if path.suffix not in _WRITERS:
        raise InvalidArgument(
            f"cannot write a leaderboard to {path}: expected a name that ends in "
            f"{', '.join(_WRITERS)}",
            field="leaderboard",
        )


def write_leaderboard(path: Path, points: Sequence[OperatingPoint], *, k: int) -> None:
    """Write one ranking for each task, kind of queries and threshold.

    Algorithms that do not reach the threshold are listed last, without a rank.

    Raises
    ------
    InvalidArgument, WriteFailed
        The suffix is neither .md, .tex nor .csv; the disk is full.
    """
    check_leaderboard(path)
    text = _WRITERS[path.suffix](list(_boards(points, k)))
    atomic.write_bytes(path, text.encode(errors="backslashreplace"))


def _boards(points: Sequence[OperatingPoint], k: int) -> Iterator[_Board]:
    groups: dict[tuple[str, ...], list[OperatingPoint]] = {}
    for point in points:
        key = (*point.group[1:], point.kind or "", str(point.threshold))
        groups.setdefault(key, []).append(point)
    for (data, size, task, dataset, kind, threshold), members in groups.items():
        about = (
            data or dataset,
            f"{size} rows" if size else "",
            task,
            f"{kind} queries" if kind else "",
        )
        title = " · ".join(part for part in (*about, f"recall@{k} {threshold}") if part)
        ranked = sorted(members, key=lambda point: -((point.run and point.run.qps) or 0.0))
        yield _Board(title, [_row(place + 1, point) for place, point in enumerate(ranked)])


def _row(rank: int, point: OperatingPoint) -> tuple[str, ...]:
    run = point.run
    if run is None:
        return ("", point.group[0], "not reached", "", "", "", "")
    memory = run.peak_memory_bytes
    return (
        str(rank),
        point.group[0],
        f"{point.recall:.4f}",
        f"{run.qps:,.1f}",
        "" if run.buildtime is None else f"{run.buildtime:,.1f}",
        "" if memory is None else f"{memory / 1e6:,.0f}",
        run.params or "",
    )


def _markdown(boards: Sequence[_Board]) -> str:
    lines = []
    for board in boards:
        aligned = ["---:" if name in _NUMBERS else "---" for name in _COLUMNS]
        lines += [f"### {board.title}", "", _line(_COLUMNS), _line(aligned)]
        lines += [_line([_plain(cell).replace("|", "\\|") for cell in row]) for row in board.rows]
        lines.append("")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return a cell on one line."""
    return " ".join(text.split())


def _latex(boards: Sequence[_Board]) -> str:
    """Return one tabular for each ranking; it needs the package booktabs."""
    lines = []
    columns = "".join("r" if name in _NUMBERS else "l" for name in _COLUMNS)
    for board in boards:
        lines += [f"% {_plain(board.title)}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
        lines += [_latex_line(_COLUMNS), r"\midrule"]
        lines += [_latex_line(row) for row in board.rows]
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(_plain(cell).translate(_LATEX) for cell in cells) + r" \\"


def _csv(boards: Sequence[_Board]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["leaderboard", *_COLUMNS])
    for board in boards:
        writer.writerows([board.title, *(_number(c) for c in row)] for row in board.rows)
    return text.getvalue()


def _number(cell: str) -> str:
    """Return a number without the commas between thousands; other text as it is."""
    bare = cell.replace(",", "")
    return bare if bare.replace(".", "", 1).isdigit() else cell


_NUMBERS = frozenset({"rank", "recall", "QPS", "build s", "memory MB"})
_WRITERS = {".md": _markdown, ".tex": _latex, ".csv": _csv}
