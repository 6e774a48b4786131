"""The steps of a build: their results are kept in a folder until the graph is complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.unfinished import read_note, write_note
from pairdex.graph_index.file import NO_NODE
from pairdex.progress import StepProgress

__all__ = ["Steps"]


class Steps:
    """Counts the steps, and opens what an earlier run with the same plan left in the folder.

    Parameters
    ----------
    plan
        What the results depend on.
    count
        Number of steps.
    """

    def __init__(
        self, folder: Path, plan: dict[str, Any], count: int, progress: StepProgress | None
    ) -> None:
        self.folder, self.plan = folder, plan
        self._count, self._progress, self._done = count, progress, 0

    def advance(self) -> None:
        """Report that a step is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._count)

    def kept(
        self, name: str, shape: tuple[int, int], make: Callable[[NDArray[np.uint32]], None]
    ) -> NDArray[np.uint32]:
        """Return a table of node numbers that an earlier run made, or let `make` fill one."""
        note = self.folder / f"{name}.json"
        record = read_note(note)
        if record is not None and record["plan"] == self.plan:
            self.advance()
            return map_array(self.folder / name, shape, np.uint32, mode="r+")
        table: NDArray[np.uint32] = new_array(self.folder / name, shape, np.uint32)
        table[:] = NO_NODE
        make(table)
        if isinstance(table, np.memmap):
            table.flush()
        write_note(note, {"plan": self.plan})
        self.advance()
        return table
