"""Ctrl-C: how a command ends when a user presses it, at any time: one line, and exit status 130."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["INTERRUPTED", "RESUMING", "CtrlC", "Interrupted", "ending_at_once"]

INTERRUPTED = 130
"""The exit status, as shells report it: 128 and the number of the signal."""

RESUMING = frozenset(
    {
        "build",
        "clickhouse load",
        "dedup",
        "demo",
        "encode",
        "export",
        "fetch",
        "graph",
        "index",
        "model fetch",
        "pairs",
        "photos",
        "project",
        "pull",
        "push",
        "score",
        "subset",
    }
)
"""The commands that keep what they have done, so that the same command goes on."""

_RETRY_SECONDS = 0.02
_IMPORTING = "<frozen importlib._bootstrap"


class Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt, which the command-line library would turn into its own exit."""


class CtrlC:
    """What Ctrl-C does to a command, from its first import to its end.

    Before the command runs, nothing is half-written: the program ends at once. While it runs, the
    handler raises `Interrupted`, and files are cleaned up on the way out; a second press ends the
    program at once. An exception out of an import would reach code that turns it into another error, so
    the handler waits until the import has ended.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.pressed = False
        named = {" ".join(arguments[:count]) for count in (1, 2)}
        goes_on = "; the same command goes on where it stopped" if named & RESUMING else ""
        self._line = f"pairdex: interrupted{goes_on}\n"

    def end_at_once(self, *_: object) -> NoReturn:
        """Handle Ctrl-C while modules are imported, or when it is pressed again."""
        os.write(2, self._line.encode())
        os._exit(INTERRUPTED)

    def raise_interrupted(self, number: int, frame: FrameType | None) -> None:
        """Handle Ctrl-C, and the alarm after one that came during an import, while a command works."""
        if self.pressed and number == signal.SIGINT:
            self.end_at_once()
        self.pressed = True
        if _is_importing(frame):
            self._try_again()
        else:
            raise Interrupted

    def say(self) -> int:
        """Print the line at the end of an interrupted command; return its exit status."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write(self._line)
        return INTERRUPTED

    @contextmanager
    def not_lost(self) -> Iterator[None]:
        """Raise again what Python cannot raise where it came: inside a destructor or a callback."""
        before = sys.unraisablehook

        def show(unraisable: Any) -> None:  # noqa: ANN401 - its type is not public
            if isinstance(unraisable.exc_value, Interrupted):
                self._try_again()
            else:
                before(unraisable)

        sys.unraisablehook = show
        try:
            yield
        finally:
            sys.unraisablehook = before

    def _try_again(self) -> None:
        signal.signal(signal.SIGALRM, self.raise_interrupted)
        signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the program at once if Ctrl-C is pressed inside the block, where a `CtrlC` is the handler."""
    before = signal.getsignal(signal.SIGINT)
    owner = getattr(before, "__self__", None)
    if not isinstance(owner, CtrlC):
        yield
        return
    signal.signal(signal.SIGINT, owner.end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
