"""What commands print: results on stdout for people or as JSON, progress on stderr on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as Bars,
)
from rich.table import Table

from pairdex.progress import Progress

__all__ = [
    "new_table",
    "plain_console",
    "print_json",
    "print_lines",
    "print_table",
    "printable",
    "progress_bars",
]

_WIDE = 200  # columns of a table where there is no terminal


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


def print_lines(pairs: dict[str, object]) -> None:
    """Print names and values, aligned."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        shown = f"{value:,}" if isinstance(value, int) else printable(value)
        sys.stdout.write(f"{name:<{width}}  {shown}\n")


def plain_console() -> Console:
    """Return the console for tables on stdout; without a terminal it is wide, so that rows stay whole."""
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, emoji=False, width=_WIDE)


def new_table(headings: Sequence[str], *, right: Collection[str] = ()) -> Table:
    """Return an empty table without lines; the columns in `right` hold numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        side: Literal["left", "right"] = "right" if heading in right else "left"
        table.add_column(printable(heading), justify=side, overflow="fold")
    return table


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = ()
) -> None:
    """Print aligned rows below their headings; the columns in `right` hold numbers."""
    table = new_table(headings, right=right)
    for row in rows:
        table.add_row(*map(printable, row))
    plain_console().print(table)


def printable(value: object) -> str:
    """Return a text from elsewhere without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(value))


@contextmanager
def progress_bars(*, of_bytes: bool = False) -> Iterator[Progress]:
    """Give a `Progress` that draws a bar for each step on stderr; only a terminal shows it."""
    console = Console(stderr=True)
    amount = [DownloadColumn(), TransferSpeedColumn()] if of_bytes else [MofNCompleteColumn()]
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        *amount,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}
    with bars:

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step)
            bars.update(tasks[step], completed=done, total=total)

        yield show
