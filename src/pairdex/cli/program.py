"""The program `pairdex`: it runs a command and turns errors into one line and an exit status.

It imports only what it needs at once, so that `pairdex --version` and `pairdex --help` answer quickly
and Ctrl-C is handled before anything heavy is imported.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import warnings
from typing import TextIO

from pairdex.cli.interrupts import INTERRUPTED, Interrupted, end_at_once, raise_interrupted
from pairdex.errors import PairdexError, WeakFileSystem
from pairdex.files.os_advice import explained
from pairdex.version import __version__

__all__ = ["main", "quieten_pictures"]

_FAILED = 1


def main() -> None:
    """Run the program: exit status 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    signal.signal(signal.SIGINT, end_at_once)
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"pairdex {__version__}\n")
        sys.exit()
    quieten_pictures()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may not be valid text
    _note_weak_file_systems()
    try:
        _run()
    except Interrupted:
        sys.exit(INTERRUPTED)
    except PairdexError as error:
        sys.exit(_complain(str(error)))
    except BrokenPipeError:  # the reader of our output has left
        sys.exit(_FAILED)
    except OSError as error:
        full = error.errno == errno.ENOSPC  # of our own files it is reported as WriteFailed
        place = error.filename or ("cannot write to the standard output" if full else None)
        sys.exit(_complain(explained(error, place)))


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


def _run() -> None:
    """Run the command and flush what it printed; if that fails, so does the command."""
    from pairdex.cli.commands import program  # noqa: PLC0415 - after Ctrl-C is handled

    command = program()
    signal.signal(signal.SIGINT, raise_interrupted)
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
