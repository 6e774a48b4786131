"""Standard output of a child process that sends its answers there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

__all__ = ["own_output"]


def own_output() -> IO[bytes]:
    """Return standard output for answers alone: from now on, what libraries print goes nowhere.

    DuckDB, for example, shows a progress bar after two seconds if it believes that it runs for a person.
    """
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return output
