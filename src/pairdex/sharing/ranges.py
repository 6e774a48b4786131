"""Fetching runs of blocks of published files: several at once, with retries, each block verified."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pairdex.downloads.fetch import DEFAULT_JOBS
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.downloads.streams import Interrupted, Stream
from pairdex.errors import FetchFailed
from pairdex.files import checksums
from pairdex.sharing.block_file import BlockFile
from pairdex.sharing.block_sums import SUM_BYTES
from pairdex.sharing.listing import BlockSums, PublishedFile
from pairdex.sharing.place import Place

__all__ = ["RangeFetcher"]

_log = logging.getLogger(__name__)


class RangeFetcher:
    """Fetches blocks from one address; its connections stay open."""

    def __init__(self, place: Place, retry: Retry) -> None:
        self._place, self._sources = place, Sources(retry)
        self._has_ranges: bool | None = None

    def close(self) -> None:
        """Close the connections."""
        self._sources.__exit__()

    def sums(self, file: PublishedFile, sums: BlockSums) -> bytes:
        """Return the checksums of a file's blocks, verified; see `block_file.Fetcher`."""
        limit_bytes = -(-file.bytes // sums.block_bytes) * SUM_BYTES
        data, _ = self._place.read(sums.object, limit_bytes, self._sources)
        if checksums.of_bytes(data) != sums.checksum:
            raise FetchFailed(
                f"{sums.object} of {self._place} differs from its published checksum; if the collection "
                "was published again meanwhile, open it again; else publish it again"
            )
        return data

    def fetch(self, file: BlockFile, runs: list[range]) -> None:
        """Fetch runs of blocks; see `block_file.Fetcher`."""
        if self._has_ranges is None:  # the first answer says whether there are ranges
            self._fetch_run(file, runs[0])
            runs = runs[1:]
        if len(runs) < 2 or self._has_ranges is False:
            for run in runs:
                self._fetch_run(file, run)
            return
        with ThreadPoolExecutor(DEFAULT_JOBS) as pool:
            list(pool.map(lambda run: self._fetch_run(file, run), runs))

    def _fetch_run(self, file: BlockFile, run: range) -> None:
        url = self._place.url_of(file.file.name)
        tries, failed = self._sources.tries(url), 0
        while not all(file.has(number) for number in run):
            first = next(number for number in run if not file.has(number))
            begin = first * file.block_bytes
            stop = min(file.bytes, run.stop * file.block_bytes)
            try:
                with self._sources.of(url).open(url, begin, stop=stop) as stream:
                    self._keep(file, range(first, run.stop), stream)
            except Interrupted as error:
                tries.wait_after(error)
            except _WrongBlock as error:
                failed += 1
                if failed > 1:
                    raise FetchFailed(self._described(file, error.number)) from None

    def _keep(self, file: BlockFile, run: range, stream: Stream) -> None:
        """Keep the blocks of a run, or all blocks if the server sends the whole file."""
        if stream.total not in (None, file.bytes):
            raise FetchFailed(
                f"{file.file.path} of {self._place} has {stream.total:,} bytes, published were "
                f"{file.bytes:,}; if it was published again meanwhile, open it again"
            )
        is_whole = stream.start != run.start * file.block_bytes
        if self._has_ranges is None and (is_whole or run.start):
            self._has_ranges = not is_whole
        if is_whole:
            _log.warning(
                "%s sends no ranges: fetching %s whole, %s bytes",
                self._place,
                file.file.path,
                f"{file.bytes:,}",
            )
            run = range(file.count)
        kept: list[int] = []
        try:
            for number, data in _blocks(file, run, stream):
                if not file.has(number):
                    if not file.keep(number, data):
                        raise _WrongBlock(number)
                    kept.append(number)
        finally:
            if kept:
                file.mark(kept)

    def _described(self, file: BlockFile, number: int) -> str:
        first = number * file.block_bytes
        return (
            f"{file.file.path} of {self._place}: the bytes {first:,} to {first + file.size_of(number) - 1:,} "
            "differ from their published checksum, twice; if it was published again meanwhile, open it "
            "again; else publish it again"
        )


class _WrongBlock(Exception):
    """A block has another checksum than published."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _blocks(file: BlockFile, run: range, stream: Stream) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks of a run from a stream that begins with the first of them."""
    waiting, numbers = bytearray(), iter(run)
    number = next(numbers)
    for chunk in stream.chunks:
        waiting += chunk
        while len(waiting) >= (size := file.size_of(number)):
            yield number, bytes(waiting[:size])
            del waiting[:size]
            following = next(numbers, None)
            if following is None:
                return
            number = following
    raise Interrupted(f"{file.file.path} ended before its block {number:,}")
