"""What commands print: results on stdout for people or as JSON, progress on stderr on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

__all__ = [
    "JsonOption",
    "NoCodesOption",
    "byte_bar",
    "duration",
    "print_json",
    "print_lines",
    "printable",
    "progress_bar",
    "progress_steps",
    "size",
]

NoCodesOption = Annotated[
    bool, typer.Option("--no-codes", help="Read all vectors; neither use nor write codes.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


def print_lines(pairs: dict[str, object]) -> None:
    """Print names and values, aligned."""
    width = max(map(len, pairs))
    for name, value in pairs.items():
        shown = f"{value:,}" if isinstance(value, int) else printable(value)
        sys.stdout.write(f"{name:<{width}}  {shown}\n")


def printable(value: object) -> str:
    """Return a text from elsewhere without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(value))


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of (done, total) that draws a bar on stderr; only a terminal shows it."""
    with progress_steps() as steps:
        yield lambda done, total: steps(what, done, total)


@contextmanager
def progress_steps() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of (step, done, total) that draws a bar for each step, as `progress_bar`."""
    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
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


@contextmanager
def byte_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of (bytes done, bytes in all) that draws a bar on stderr, as `progress_bar`."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(what, total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)


def size(count: int) -> str:
    """Return a number of bytes as people write it: 1.0 GB."""
    value, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" else f"{count} B"


def duration(seconds: float, *, digits: int = 0) -> str:
    """Return a time as people write it: 340 ms, 3.2 s; milliseconds with so many digits."""
    return f"{seconds * 1000:.{digits}f} ms" if seconds < 1 else f"{seconds:.1f} s"
