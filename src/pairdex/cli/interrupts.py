"""Ctrl-C: how a command ends when a user presses it, at any time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["INTERRUPTED", "Interrupted", "end_at_once", "ending_at_once", "raise_interrupted"]

INTERRUPTED = 130
"""The exit status, as shells report it: 128 and the number of the signal."""


class Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt, which the command-line library would turn into its own exit."""


def raise_interrupted(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Handle Ctrl-C while a command works: its files are cleaned up on the way out."""
    raise Interrupted


def end_at_once(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """Handle Ctrl-C while modules are imported.

    Nothing is half-written yet, and an exception out of an import would reach code that turns it into
    another error.
    """
    os.write(2, b"pairdex: interrupted\n")
    os._exit(INTERRUPTED)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the program at once if Ctrl-C is pressed inside the block."""
    before = signal.signal(signal.SIGINT, end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
