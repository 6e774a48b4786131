"""How commands show that a model is being fetched: one line on stderr, and a bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pairdex.cli.output import printable, progress_bars
from pairdex.encoders.announce import announcing
from pairdex.progress import Progress

__all__ = ["showing_fetches"]


def showing_fetches() -> AbstractContextManager[None]:
    """Show the models that a command fetches."""
    return announcing(_shown)


@contextmanager
def _shown(line: str) -> Iterator[Progress]:
    sys.stderr.write(f"pairdex: {printable(line)}\n")
    with progress_bars(of_bytes=True) as progress:
        yield progress
