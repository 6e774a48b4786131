"""What a search for near-duplicates has decided so far, in files, so that a killed one goes on.

One byte, one id and one distance a row, mapped: memory holds what is in use, the disk the rest.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pairdex.files import atomic
from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.unfinished import read_note, write_note

__all__ = ["COPY", "KEPT", "NEAR", "NOT_YET", "Decisions"]

NOT_YET, KEPT, NEAR, COPY = range(4)

_PROGRESS = "progress.json"

_Number = TypeVar("_Number", bound=np.generic)


class Decisions:
    """The decisions about the rows of a collection, as far as they go.

    Attributes
    ----------
    state
        (rows,) uint8: NOT_YET; KEPT; NEAR, dropped for a kept row near it; COPY, of the same bytes
        as a row that is visited earlier.
    of
        (rows,) int64: the kept row of one that is NEAR; the first row of those that a COPY equals.
    distance
        (rows,) float64, of a row that is NEAR to `of`.
    position
        How many of the rows, in the order in which they are visited, are decided; None: the copies
        are not known yet.
    folder, plan
        Where the files lie, and what they depend on.

    Parameters
    ----------
    plan
        All that the decisions depend on: what was decided by another plan is thrown away.
    """

    def __init__(self, folder: Path, rows: int, plan: dict[str, Any]) -> None:
        self.folder, self.plan = folder, plan
        self.position: int | None = self._recorded()
        if self.position is None:
            shutil.rmtree(folder, ignore_errors=True)
            atomic.make_folder(folder)
        self.state: NDArray[np.uint8] = self.array("state", rows, np.uint8)
        self.of: NDArray[np.int64] = self.array("of", rows, np.int64)
        self.distance: NDArray[np.float64] = self.array("distance", rows, np.float64)

    def array(
        self, name: str, rows: int, dtype: type[_Number]
    ) -> np.memmap[Any, np.dtype[_Number]]:
        """Map an array of the folder, made of zeros where it is new.

        Raises
        ------
        WriteFailed
            There is no room for it.
        """
        path, shape = self.folder / name, (max(1, rows),)
        array = (
            map_array(path, shape, dtype, mode="r+")
            if path.exists()
            else new_array(path, shape, dtype)
        )
        assert isinstance(array, np.memmap)
        return array

    def save(self, position: int) -> None:
        """Record that the first `position` rows to visit are decided."""
        for array in (self.state, self.of, self.distance):
            assert isinstance(array, np.memmap)
            array.flush()
        write_note(self.folder / _PROGRESS, {"plan": self.plan, "position": position})
        self.position = position

    def _recorded(self) -> int | None:
        content = read_note(self.folder / _PROGRESS)
        if content is None or content["plan"] != self.plan:
            return None
        return int(content["position"])
