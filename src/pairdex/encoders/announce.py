"""The line that says which model is being fetched, and who shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from pairdex.progress import Progress

__all__ = ["Announce", "announced", "announcing"]

Announce = Callable[[str], AbstractContextManager[Progress | None]]
"""Called with the line; gives the `Progress` to report to while the work goes on."""


@contextmanager
def _on_stderr(line: str) -> Iterator[Progress | None]:
    sys.stderr.write(f"pairdex: {line}\n")
    yield None


_current: ContextVar[Announce] = ContextVar("_current", default=_on_stderr)


def announced(line: str) -> AbstractContextManager[Progress | None]:
    """Show a line, on stderr unless `announcing` says otherwise."""
    return _current.get()(line)


@contextmanager
def announcing(announce: Announce) -> Iterator[None]:
    """Let `announce` show the lines of this context."""
    token = _current.set(announce)
    try:
        yield
    finally:
        _current.reset(token)
