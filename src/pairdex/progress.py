"""How long work reports what it has done: one callback, called with (step, done, total)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from html import escape
from time import monotonic
from typing import Any

__all__ = ["Meter", "Progress", "ProgressBar", "StepProgress", "at_step"]

_REDRAW_SECONDS = 0.1

Progress = Callable[[str, int, int], None]
"""Called with the name of the current step, the amount done, and the total of that step."""

StepProgress = Callable[[int, int], None]
"""One step of a `Progress`: called with the amount done and the total."""


def at_step(progress: Progress | None, step: str) -> StepProgress | None:
    """Return a callback that reports one step of `progress`; None if there is none.

    Examples
    --------
    >>> at_step(print, "building")(3, 10)
    building 3 10
    """
    return None if progress is None else partial(progress, step)


class Meter:
    """Counts the amount done of a step and reports each advance."""

    def __init__(self, total: int, progress: StepProgress | None) -> None:
        self._total, self._done, self._progress = total, 0, progress

    def advance(self, count: int) -> None:
        """Add `count` to the amount done."""
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)


class ProgressBar:
    """A `progress` that draws a bar for each step: `pairdex.build(…, progress=ProgressBar())`.

    A notebook shows it below the cell, a terminal on stderr. Without either, nothing is shown.
    """

    def __init__(self) -> None:
        self._last: tuple[str, int, int] | None = None
        self._drawn = 0.0
        self._in_notebook = _is_notebook()
        self._handles: dict[str, Any] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Draw the bar of a step; called with the step, the amount done, and the total."""
        now, is_same = monotonic(), self._last is not None and self._last[0] == step
        is_soon = is_same and done < total and now - self._drawn < _REDRAW_SECONDS
        if is_soon or self._last == (step, done, total):
            return
        if self._in_notebook:
            self._draw_html(step, done, total)
        elif sys.stderr.isatty():
            self._draw_line(step, done, total)
        self._last, self._drawn = (step, done, total), now

    def _draw_html(self, step: str, done: int, total: int) -> None:
        from IPython.display import HTML, display  # noqa: PLC0415 - only notebooks have it

        bar = f'<progress value="{done}" max="{max(total, 1)}"></progress>'
        page = HTML(f"<div>{bar} {escape(step)} {done:,} of {total:,}</div>")
        if step in self._handles:
            self._handles[step].update(page)
        else:
            self._handles[step] = display(page, display_id=True)

    def _draw_line(self, step: str, done: int, total: int) -> None:
        was_left = (
            self._last is not None and self._last[0] != step and self._last[1] < self._last[2]
        )
        share = min(done / max(total, 1), 1.0)
        line = f"\r{share:4.0%} {step} {done:,} of {total:,}"
        sys.stderr.write(("\n" if was_left else "") + line + ("\n" if done >= total else ""))
        sys.stderr.flush()


def _is_notebook() -> bool:
    """Return True inside a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
