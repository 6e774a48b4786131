"""Files that may not grow beyond a limit, as on a disk that is full at that point of them.

Python then must not cache compiled modules: before 3.11.5 it keeps one that was cut short, and can no longer import it.
"""

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

MAIN = "import sys; from pairdex.cli import main; main()"
_LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), -1));"
)


@contextmanager
def small_files(limit):
    """Let no file of this process grow beyond `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)


def run_with_small_files(limit, *arguments, program=MAIN):
    """Run `pairdex ARGUMENTS`, or another program, with files of at most `limit` bytes."""
    return subprocess.run(
        [sys.executable, "-c", _LIMITED + program, str(limit), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
