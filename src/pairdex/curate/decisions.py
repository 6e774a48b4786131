"""What a search for near-duplicates has decided so far, in files, so that a killed one goes on.

One byte, one id and one distance a row, mapped: memory holds what is in use, the disk the rest.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import WriteFailed
from pairdex.files import atomic, foreign_json

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

    Parameters
    ----------
    plan
        All that the decisions depend on: what was decided by another plan is thrown away.
    """

    def __init__(self, folder: Path, rows: int, plan: dict[str, Any]) -> None:
        self._folder, self._plan = folder, plan
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
        path, length = self._folder / name, max(1, rows)
        if not path.exists():
            _reserve(path, length * np.dtype(dtype).itemsize)
        return np.memmap(path, dtype, mode="r+", shape=(length,))

    def save(self, position: int) -> None:
        """Record that the first `position` rows to visit are decided."""
        for array in (self.state, self.of, self.distance):
            assert isinstance(array, np.memmap)
            array.flush()
        content = {"plan": self._plan, "position": position}
        atomic.write_bytes(self._folder / _PROGRESS, json.dumps(content).encode())
        self.position = position

    def _recorded(self) -> int | None:
        try:
            content = foreign_json.parse((self._folder / _PROGRESS).read_bytes())
        except (FileNotFoundError, ValueError):  # nothing is known to be decided
            return None
        if content["plan"] != self._plan:
            return None
        return int(content["position"])


def _reserve(path: Path, n_bytes: int) -> None:
    """Make a file of zeros that has its place on the disk: a mapped one could not say that it is full."""
    try:
        with path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise WriteFailed(
            f"cannot write {path}: {error.strerror}; free space and run the same command again"
        ) from error
