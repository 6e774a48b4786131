"""A published file of which some blocks are here: fetched by ranges, each block once, each verified.

The file has its full size from the beginning, so it can be mapped; what was not fetched reads as zeros.
A byte for each block, in the file beside it, says whether the block is there. It is set after the block
was verified and synced, so a fetch that is killed at any instant costs what was on its way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from pairdex.errors import FetchFailed, WriteFailed
from pairdex.files import atomic, checksums, lock
from pairdex.files.foreign_names import path_below
from pairdex.sharing.block_sums import SUM_BYTES
from pairdex.sharing.listing import BlockSums, PublishedFile
from pairdex.store.ranged_file import Ranges

__all__ = ["BLOCKS", "BlockFile", "Fetcher"]

BLOCKS = ".blocks"
"""The folder of partly fetched files in that of a cached version."""

_FLAGS, _SUMS = ".have", ".sums"
_CHECKSUM_CHARS = 32  # of the file, before the flags
_GAP_BLOCKS = 2  # missing blocks between two wanted ones that are fetched with them: 128 KiB
_RUN_BYTES = 8 << 20  # of one request


class Fetcher(Protocol):
    """What fetches blocks: the cached version. It stays in the cache as long as its files are used."""

    def sums(self, file: PublishedFile, sums: BlockSums) -> bytes:
        """Return the checksums of a file's blocks, verified."""

    def make_room(self, count: int) -> None:
        """Make room for some bytes in the cache."""

    def fetch(self, file: BlockFile, runs: list[range]) -> None:
        """Fetch runs of blocks and `keep` each block."""


class BlockFile:
    """A file of a cached version; see `store.RangedFile`.

    Parameters
    ----------
    folder
        The folder of the cached version.
    """

    def __init__(
        self, folder: Path, file: PublishedFile, sums: BlockSums, fetcher: Fetcher
    ) -> None:
        self.file, self._sums, self._fetcher = file, sums, fetcher
        self._folder = folder
        self.path = path_below(folder / BLOCKS, file.path)
        self.bytes, self.block_bytes = file.bytes, sums.block_bytes
        self.count = -(-file.bytes // sums.block_bytes)
        self._known: NDArray[np.uint8] | None = None
        atomic.make_folder(self.path.parent)
        self._prepare()
        flags = np.memmap(self._beside(_FLAGS), np.uint8, mode="r+")
        self._have = flags[_CHECKSUM_CHARS:]

    def need(self, ranges: Ranges) -> None:
        """Have these ranges of bytes, (first, end) each; see `store.RangedFile`."""
        wanted = self._numbers(ranges)
        if self._have[wanted].all():
            return
        with self._locked():
            runs = self._runs(wanted)
            count = sum(map(len, runs)) * self.block_bytes
            if count:
                self._known = self._read_sums() if self._known is None else self._known
                self._fetcher.make_room(count)
                self._fetcher.fetch(self, runs)

    def complete(self, target: Path, advance: Callable[[int], None]) -> None:
        """Fetch what is missing, and make the whole file `target` too."""
        for first in range(0, self.bytes, 4 * _RUN_BYTES):
            end = min(self.bytes, first + 4 * _RUN_BYTES)
            self.need([(first, end)])
            advance(end - first)
        atomic.make_folder(target.parent)
        try:
            target.hardlink_to(self.path)
        except FileExistsError:  # another process was faster
            return
        except OSError:  # no links here
            with atomic.replacing(target) as copy, self.path.open("rb") as source:
                shutil.copyfileobj(source, copy)

    def keep(self, number: int, data: bytes) -> bool:
        """Write a block if it has its checksum; return whether it has."""
        assert self._known is not None, "`need` read the checksums before it fetches"
        if xxhash.xxh3_128_digest(data) != self._known[number].tobytes():
            return False
        try:
            with self.path.open("r+b", buffering=0) as file:
                file.seek(number * self.block_bytes)
                file.write(data)
        except OSError as error:
            raise WriteFailed(f"{self.path} cannot be written: {error.strerror}") from error
        return True

    def mark(self, numbers: Iterable[int]) -> None:
        """Record that blocks are there, after they have been synced."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._have[list(numbers)] = 1

    def has(self, number: int) -> bool:
        """Return whether a block is there."""
        return bool(self._have[number])

    def size_of(self, number: int) -> int:
        """Return the bytes of a block: the last one may be shorter."""
        return min(self.block_bytes, self.bytes - number * self.block_bytes)

    def _numbers(self, ranges: Ranges) -> NDArray[np.int64]:
        """Return the blocks of ranges of bytes, ascending."""
        found = [
            np.arange(first // self.block_bytes, -(-end // self.block_bytes))
            for first, end in ranges
            if end > first
        ]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def _runs(self, wanted: NDArray[np.int64]) -> list[range]:
        """Return the missing blocks as runs, with small gaps of missing blocks between them."""
        runs: list[range] = []
        most = max(1, _RUN_BYTES // self.block_bytes)
        for number in wanted[self._have[wanted] == 0].tolist():
            last = runs[-1] if runs else range(0)
            gap = range(last.stop, number)
            near = runs and len(gap) <= _GAP_BLOCKS and number - last.start < most
            if near and not any(self.has(between) for between in gap):
                runs[-1] = range(last.start, number + 1)
            else:
                runs.append(range(number, number + 1))
        return runs

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def _read_sums(self) -> NDArray[np.uint8]:
        path = self._beside(_SUMS)
        data = path.read_bytes() if path.exists() else b""
        if checksums.of_bytes(data) != self._sums.checksum:
            data = self._fetcher.sums(self.file, self._sums)
            atomic.write_bytes(path, data)
        if len(data) != self.count * SUM_BYTES:
            raise FetchFailed(
                f"the checksums of {self.file.path} are those of {len(data) // SUM_BYTES:,} blocks, "
                f"expected {self.count:,}; publish the collection again"
            )
        return np.frombuffer(data, np.uint8).reshape(-1, SUM_BYTES)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Keep other threads and processes from fetching blocks of this file."""
        flags = self._beside(_FLAGS)
        descriptor = os.open(flags, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lock.acquire(descriptor, self.path, wait=True)
            yield descriptor
        finally:
            os.close(descriptor)

    def _prepare(self) -> None:
        """Make the files of the blocks and their flags, unless they are there."""
        if not self._beside(_FLAGS).exists():
            self._take_from_other_version()
        head, size = self.file.checksum.encode(), _CHECKSUM_CHARS + self.count
        with self._locked() as flags:
            is_whole = os.fstat(flags).st_size == size and os.pread(flags, len(head), 0) == head
            if is_whole and self.path.exists() and self.path.stat().st_size == self.bytes:
                return
            try:
                os.ftruncate(flags, 0)
                with self.path.open("ab") as data:
                    data.truncate(self.bytes)
                os.ftruncate(flags, size)
                os.pwrite(flags, head, 0)
            except OSError as error:  # a disk without files of that size
                raise WriteFailed(
                    f"{self.path} cannot be made, {self.bytes:,} bytes: {error.strerror}"
                ) from error

    def _take_from_other_version(self) -> None:
        """Share the blocks of another version of the same address, if its file has the same bytes."""
        name = self.path.relative_to(self._folder)
        for other in self._folder.parent.iterdir():
            flags = other / f"{name}{_FLAGS}"
            if other == self._folder or not _begins_with(flags, self.file.checksum):
                continue
            with suppress(OSError):  # no links here, or it has just been removed
                self.path.hardlink_to(other / name)
                self._beside(_FLAGS).hardlink_to(flags)
                return


def _begins_with(path: Path, head: str) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(head)) == head.encode()
    return False
