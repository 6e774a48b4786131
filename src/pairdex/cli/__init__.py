"""The command line: one module a command, each a thin shell around one function of the package."""

from pairdex.cli.program import main

__all__ = ["main"]
