"""The program `pairdex`: its commands, and how errors become one line and an exit status."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import warnings
from types import FrameType
from typing import Annotated, NoReturn, TextIO

import typer
from PIL import Image

from pairdex.cli import (
    atlas,
    bench,
    build,
    clickhouse,
    dedup,
    demo,
    encode,
    evaluate,
    export,
    fetch,
    gold,
    index,
    info,
    model,
    project,
    queries,
    releases,
    remove,
    score,
    search,
    serve,
    sql,
    subset,
    verify,
)
from pairdex.cli.output import printable
from pairdex.errors import PairdexError, WeakFileSystem
from pairdex.files.os_advice import explained
from pairdex.version import __version__

__all__ = ["app", "main"]

_FAILED, _INTERRUPTED = 1, 130

app = typer.Typer(
    name="pairdex",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = {
    "Search": (demo, search, index, serve, atlas),
    "From releases and pictures to a collection": (releases, fetch, encode, build, info, verify),
    "Curate": (sql, score, subset, dedup, remove),
    "Reference data": (queries, gold, project, evaluate, bench),
    "Hand on": (export,),
}
for _panel, _modules in _COMMANDS.items():
    for _module in _modules:
        _name = _module.__name__.rpartition(".")[2]
        app.command(_name, rich_help_panel=_panel)(_module.command)
app.add_typer(clickhouse.app, name="clickhouse", rich_help_panel="Hand on")
app.add_typer(model.app, name="model", rich_help_panel="Models")


class _Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt, of which the command-line library makes exit status 1."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pairdex {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Build, search and serve embedding collections of image-text pairs."""


def main() -> None:
    """Run the program: exit status 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    signal.signal(signal.SIGINT, _interrupt)
    # Pillow's own warning of large pictures would be a second line beside our error.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    _note_weak_file_systems()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be no text
    try:
        _run()
    except _Interrupted:
        sys.exit(_INTERRUPTED)
    except PairdexError as error:
        sys.exit(_complain(str(error)))
    except BrokenPipeError:  # nobody hears us any more
        sys.exit(_FAILED)
    except OSError as error:
        full = error.errno == errno.ENOSPC  # of files it is told as WriteFailed
        place = error.filename or ("cannot write to the standard output" if full else None)
        sys.exit(_complain(explained(error, place)))


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
            sys.stderr.write(f"pairdex: note: {printable(' '.join(str(message).split()))}\n")

    warnings.showwarning = show


def _run() -> None:
    """Run the command; what it has printed is out when it has ended, or it has failed."""
    try:
        app(prog_name="pairdex")
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
            raise


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise _Interrupted


def _complain(message: str) -> int:
    sys.stderr.write(f"pairdex: {printable(' '.join(message.split()))}\n")
    return _FAILED
