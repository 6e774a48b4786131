"""Sorts coded rows from the order of ids into the order of lists, through files.

Each file holds a run of lists and fits into memory. After an interruption the work resumes at the last
checkpoint, which states the valid size of each file in bytes and the checksum of these bytes.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import xxhash

from pairdex.files import atomic
from pairdex.files.unfinished import read_note, write_note
from pairdex.ivf.quantiser import Coded

__all__ = ["Spill"]

_CHECKPOINT = "checkpoint.json"
_FILE_BYTES = 128 * 2**20  # size of a file: its rows are sorted at once

_log = logging.getLogger(__name__)


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
        self._digests = [xxhash.xxh3_128() for _ in range(self.n_files)]
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
                data = records[order[first:end]].tobytes()
                with self._path(number).open("ab") as file:
                    file.write(data)
                self._digests[number].update(data)
            first = int(end)
        self.counts += np.bincount(records["list"], minlength=len(self.counts))

    def keep(self) -> None:
        """Write a checkpoint: make all added rows durable."""
        sizes = []
        for number in range(self.n_files):
            with self._path(number).open("ab") as file:
                os.fsync(file.fileno())
                sizes.append(file.tell())
        digests = [digest.hexdigest() for digest in self._digests]
        write_note(
            self.folder / _CHECKPOINT, {"key": self.key, "bytes": sizes, "checksums": digests}
        )

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
        sizes, checksums = self._checkpoint()
        for number in range(self.n_files):
            with self._path(number).open("ab") as file:
                file.truncate(sizes[number])
        if not all(self._take_over(number, checksums[number]) for number in range(self.n_files)):
            _log.warning(
                "unfinished work cannot be resumed: %s is damaged; this step begins again",
                self.folder,
            )
            self._begin_again()

    def _take_over(self, number: int, checksum: str) -> bool:
        """Count the records of a file; return whether they are the ones that were written."""
        data = self._path(number).read_bytes()
        self._digests[number].update(data)
        lists = np.frombuffer(data, self.dtype)["list"]
        if self._digests[number].hexdigest() != checksum or (lists >= len(self.counts)).any():
            return False
        self.counts += np.bincount(lists, minlength=len(self.counts))
        return True

    def _begin_again(self) -> None:
        self.counts[:] = 0
        self._digests = [xxhash.xxh3_128() for _ in range(self.n_files)]
        for number in range(self.n_files):
            self._path(number).write_bytes(b"")

    def _checkpoint(self) -> tuple[list[int], list[str]]:
        """Return the valid size and the checksum of each file; of empty files if there is no checkpoint."""
        none = [0] * self.n_files, [xxhash.xxh3_128_hexdigest(b"")] * self.n_files
        state = read_note(self.folder / _CHECKPOINT)
        if state is None or state["key"] != self.key or len(state["bytes"]) != self.n_files:
            return none
        paths = map(self._path, range(self.n_files))
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        if any(size < valid for size, valid in zip(sizes, state["bytes"], strict=True)):
            return none
        return state["bytes"], state["checksums"]
