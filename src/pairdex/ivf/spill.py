"""Sorts coded rows from the order of ids into the order of lists, through files.

Each file holds a run of lists and fits into memory. After an interruption the work resumes at the last
checkpoint, which states the valid size of each file in bytes.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pairdex.files import atomic
from pairdex.ivf.quantiser import Coded

__all__ = ["Spill"]

_CHECKPOINT = "checkpoint.json"
_FILE_BYTES = 128 * 2**20  # size of a file: its rows are sorted at once


class Spill:
    """Files of coded rows, one for each run of lists.

    Parameters
    ----------
    folder
        Created if missing. Existing files are reused if their `key` is the same.
    key
        A name for exactly these rows and their coding.
    rows
        Approximate number of rows.
    """

    def __init__(
        self, folder: Path, *, key: str, dtype: np.dtype[np.void], nlist: int, rows: int
    ) -> None:
        self.folder = folder
        self.key = key
        self.dtype = dtype
        self.n_files = max(1, min(nlist, -(-rows * dtype.itemsize // _FILE_BYTES)))
        self.file_lists = -(-nlist // self.n_files)
        self.counts = np.zeros(nlist, np.int64)
        """Number of rows in each list so far."""
        atomic.make_folder(folder)
        self._resume()

    @property
    def rows(self) -> int:
        """Number of rows so far, which is the position of the next one."""
        return int(self.counts.sum())

    def lists(self, number: int) -> range:
        """Return the lists of file `number`."""
        first = number * self.file_lists
        return range(first, max(first, min(first + self.file_lists, len(self.counts))))

    def add(self, records: Coded) -> None:
        """Append records, in the order of their ids."""
        numbers = records["list"] // self.file_lists
        order = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=self.n_files))
        first = 0
        for number, end in enumerate(ends):
            if end > first:
                with self._path(number).open("ab") as file:
                    file.write(records[order[first:end]].tobytes())
            first = int(end)
        self.counts += np.bincount(records["list"], minlength=len(self.counts))

    def keep(self) -> None:
        """Write a checkpoint: make all added rows durable."""
        sizes = []
        for number in range(self.n_files):
            with self._path(number).open("ab") as file:
                os.fsync(file.fileno())
                sizes.append(file.tell())
        state = {"key": self.key, "bytes": sizes}
        atomic.write_bytes(self.folder / _CHECKPOINT, json.dumps(state).encode())

    def take(self, number: int) -> Coded:
        """Return the records of file `number`, ordered by list, then by id."""
        records = np.fromfile(self._path(number), self.dtype)
        return records[np.argsort(records["list"], kind="stable")]

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.rows"

    def _resume(self) -> None:
        state = self._checkpoint()
        for number in range(self.n_files):
            with self._path(number).open("ab") as file:
                file.truncate(state["bytes"][number])
            lists = np.fromfile(self._path(number), self.dtype)["list"]
            self.counts += np.bincount(lists, minlength=len(self.counts))

    def _checkpoint(self) -> dict[str, Any]:
        none = {"key": self.key, "bytes": [0] * self.n_files}
        try:
            state: dict[str, Any] = json.loads((self.folder / _CHECKPOINT).read_bytes())
        except (FileNotFoundError, ValueError):
            return none
        if state.get("key") != self.key or len(state["bytes"]) != self.n_files:
            return none
        paths = map(self._path, range(self.n_files))
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        return none if any(a < b for a, b in zip(sizes, state["bytes"], strict=True)) else state
