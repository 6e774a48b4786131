"""Pairs of ids on their way into a file in the order of the ids, in bounded memory.

They are appended to one file for each range of the first id. A file that is too large to sort is
divided again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.files import atomic

__all__ = ["PAIR", "PairFiles"]

PAIR = np.dtype([("id", "<u4"), ("other_id", "<u4"), ("distance", "<f8")])

_FILES = 256
_SORT_PAIRS = 1 << 23  # sorted at once: 128 MB, twice that while sorting


class PairFiles:
    """Pairs by ranges of the first id.

    Parameters
    ----------
    folder
        Where the files are; it is made.
    ids
        First ids are from `ids[0]` up to but without `ids[1]`.
    sizes
        The bytes of each file that count, after a killed run; the rest is cut off.
    """

    def __init__(
        self, folder: Path, ids: tuple[int, int], sizes: dict[str, int] | None = None
    ) -> None:
        self._folder, self._ids = folder, ids
        self._width = max(1, -(-(ids[1] - ids[0]) // _FILES))
        atomic.make_folder(folder)
        for path in folder.iterdir():
            size = (sizes or {}).get(path.name, 0)
            if size == 0:
                path.unlink()
            else:
                with path.open("r+b") as file:
                    file.truncate(size)

    def add(self, pairs: NDArray[np.void]) -> None:
        """Append pairs, in any order.

        Raises
        ------
        WriteFailed
            The disk is full.
        """
        number = (pairs["id"] - self._ids[0]) // self._width
        order = np.argsort(number, kind="stable")
        cuts = np.flatnonzero(np.diff(number[order])) + 1
        for part in np.split(order, cuts):
            if len(part):
                atomic.append(self._folder / f"{number[part[0]]:03d}", pairs[part].data)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file, and make sure that they are on the disk."""
        for path in self._folder.iterdir():
            atomic.sync(path)
        return {path.name: path.stat().st_size for path in self._folder.iterdir()}

    def sorted(self) -> Iterator[NDArray[np.void]]:
        """Yield all pairs by id and other id, some at a time; they are gone afterwards."""
        for path in sorted(self._folder.iterdir()):
            first = self._ids[0] + int(path.name) * self._width
            last = min(first + self._width, self._ids[1])
            if path.stat().st_size > _SORT_PAIRS * PAIR.itemsize and last - first > 1:
                yield from self._divided(path, first, last)
            else:
                pairs = np.fromfile(path, PAIR)
                yield pairs[np.lexsort((pairs["other_id"], pairs["id"]))]
                path.unlink()
        shutil.rmtree(self._folder)

    def _divided(self, path: Path, first: int, last: int) -> Iterator[NDArray[np.void]]:
        finer = PairFiles(path.with_name(f"{path.name}-parts"), (first, last))
        stored = np.memmap(path, PAIR, mode="r")
        for start in range(0, len(stored), _SORT_PAIRS):
            finer.add(np.array(stored[start : start + _SORT_PAIRS]))
        path.unlink()
        yield from finer.sorted()
