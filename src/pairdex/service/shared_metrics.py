"""The folder in which the processes of one service share their counts.

prometheus_client keeps them in mapped files, one set for each process, and adds them up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["WorkerFolder"]

_RESTARTS = "restarts"
_PREFIX = "worker-"


@dataclass(frozen=True)
class WorkerFolder:
    """Shared counts, and which process is which worker.

    Attributes
    ----------
    path
        The folder; empty at first.
    """

    path: Path

    def enter(self, number: int) -> None:
        """Make this process that worker. Call it before prometheus_client is imported."""
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self.path)
        self._write(f"{_PREFIX}{number}", os.getpid())

    def processes(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the process id of each worker."""
        for file in sorted(self.path.glob(f"{_PREFIX}*")):
            yield int(file.name.removeprefix(_PREFIX)), int(file.read_text("ascii"))

    def forget(self, number: int, process_id: int | None) -> None:
        """Remove what only a running worker says, when it has ended. Its counts stay."""
        (self.path / f"{_PREFIX}{number}").unlink(missing_ok=True)
        for file in self.path.glob(f"gauge_live*_{process_id}.db"):
            file.unlink(missing_ok=True)

    def set_restarts(self, restarts: int) -> None:
        """Store how many workers were replaced."""
        self._write(_RESTARTS, restarts)

    def restarts(self) -> int:
        """Return how many workers were replaced."""
        try:
            return int((self.path / _RESTARTS).read_text("ascii"))
        except FileNotFoundError:
            return 0

    def _write(self, name: str, value: int) -> None:
        """Replace a file whole: others read it at any time."""
        new = self.path / f".{name}"
        new.write_text(str(value), "ascii")
        new.replace(self.path / name)
