"""How long work reports what it has done: one callback, called with (step, done, total)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

__all__ = ["Meter", "Progress", "StepProgress", "at_step"]

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
