"""The program `pairdex`: its commands, and how errors become one line and an exit status."""

from __future__ import annotations

import sys
from typing import Annotated

import click
import typer

from pairdex.cli import build, demo, encode, info, search, serve, verify
from pairdex.errors import PairdexError
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
for module in (demo, build, info, verify, encode, search, serve):
    app.command()(module.command)


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
    try:
        status = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        status = _INTERRUPTED
    except PairdexError as error:
        status = _complain(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing to say and nobody to hear it
        status = _FAILED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        status = _complain(f"{place}{error.strerror or error}")
    sys.exit(status or 0)


def _complain(message: str) -> int:
    sys.stderr.write(f"pairdex: {' '.join(message.split())}\n")
    return _FAILED
