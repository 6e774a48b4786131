"""The program `pairdex`: it runs a command and turns errors into one line and an exit status.

It imports only what it needs at once, so that `pairdex --version` and `pairdex --help` answer quickly
and Ctrl-C is handled before anything heavy is imported.
"""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import sys
import warnings
from typing import TextIO

from pairdex.cli.interrupts import CtrlC
from pairdex.errors import PairdexError, WeakFileSystem
from pairdex.files.os_advice import explained

__all__ = ["main", "quieten_pictures"]

_FAILED = 1
_OF_DUCKDB = "OutOfMemoryException"  # by name: this module imports no library
_NO_THREAD = "can't start new thread"  # Python's RuntimeError where its stack does not fit


def main() -> None:
    """Run the program: exit status 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    ctrl_c = CtrlC(sys.argv[1:])
    signal.signal(signal.SIGINT, ctrl_c.end_at_once)
    if sys.argv[1:] == ["--version"]:
        from pairdex.version import __version__  # noqa: PLC0415 - after Ctrl-C is handled

        sys.stdout.write(f"pairdex {__version__}\n")
        sys.exit()
    quieten_pictures()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may not be valid text
    _note_weak_file_systems()
    with ctrl_c.not_lost():
        sys.exit(_ended(ctrl_c))


def _ended(ctrl_c: CtrlC) -> int:
    """Run the command, print what went wrong, and return the exit status."""
    try:
        _run(ctrl_c)
    except BaseException as error:
        if ctrl_c.pressed:  # whatever a library made of the interruption
            return ctrl_c.say()
        message = _explained(error)
        if message is None:
            raise
        return _complain(message) if message else _FAILED
    return 0


def _explained(error: BaseException) -> str | None:
    """Return what an error says in one line; empty if nothing is to be said, None if it is a bug."""
    if isinstance(error, PairdexError):
        return str(error)
    if isinstance(error, BrokenPipeError):  # the reader of our output has left
        return ""
    if isinstance(error, OSError):
        full = error.errno == errno.ENOSPC  # of our own files it is reported as WriteFailed
        place = error.filename or ("cannot write to the standard output" if full else None)
        return explained(error, place)
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind == _OF_DUCKDB or str(error) == _NO_THREAD:
        return _memory_message(error)
    return None


def _memory_message(error: BaseException) -> str:
    """Return what an allocation asked for, and what the process had."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    asked = str(error).rstrip(".") or "one of unknown size"
    return (
        f"not enough memory: an allocation failed ({asked}), with {held:,.0f} MB in use at most; free "
        "memory, raise the limit of this process, or give less work at once"
    )


def quieten_pictures() -> None:
    """Ignore Pillow's own warnings: they would be a second line beside our error."""
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # of damaged EXIF


def _note_weak_file_systems() -> None:
    """Print what a file system lacks as one line, once for each kind of lack."""
    warnings.simplefilter("always", WeakFileSystem)
    otherwise, said = warnings.showwarning, set[tuple[str, int]]()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, WeakFileSystem):
            otherwise(message, category, filename, lineno, file, line)
        elif (filename, lineno) not in said:
            said.add((filename, lineno))
            _say(f"note: {message}")

    warnings.showwarning = show


def _run(ctrl_c: CtrlC) -> None:
    """Run the command and flush what it printed; if that fails, so does the command."""
    from pairdex.cli.commands import program  # noqa: PLC0415 - after Ctrl-C is handled

    command = program()
    signal.signal(signal.SIGINT, ctrl_c.raise_interrupted)
    try:
        command(prog_name="pairdex")
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
            raise


def _complain(message: str) -> int:
    _say(message)
    return _FAILED


def _say(message: str) -> None:
    """Print one line on stderr."""
    from pairdex.cli.output import printable  # noqa: PLC0415 - only errors and notes need it

    sys.stderr.write(f"pairdex: {printable(' '.join(message.split()))}\n")
