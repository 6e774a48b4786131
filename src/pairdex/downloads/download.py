"""Download one file: resume, retry and verify it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.partial import Advance, Partial, adopt, digest_of, expected_digest, forget
from pairdex.downloads.record import Known, Record
from pairdex.downloads.retry import Hosts, Retry, Tries
from pairdex.downloads.streams import Interrupted, Source, Stream, host_of, shown
from pairdex.errors import DamagedFile, FetchFailed
from pairdex.files.foreign_names import path_below

__all__ = ["Arrival", "Downloader"]


@dataclass(frozen=True)
class Arrival:
    """A downloaded file: its size, whether its checksum was compared, and the bytes received."""

    entry: Entry
    bytes: int
    verified: bool
    received: int
    already: bool


@dataclass(frozen=True)
class Downloader:
    """Downloads files into `folder`.

    `progress(path, done)` reports the bytes of a file that were read or received; `expect(path,
    total)` reports its size once the source states it.
    """

    folder: Path
    source_of: Callable[[str], Source]
    record: Record
    hosts: Hosts
    retry: Retry
    progress: Callable[[str, int], None]
    expect: Callable[[str, int], None]

    def bring(self, entry: Entry) -> Arrival:
        """Ensure that the folder holds the complete file.

        Raises
        ------
        FetchFailed
            The file does not exist, never arrives complete, or has the wrong content; or another
            process fetches it.
        WriteFailed
            The disk is full or not writable.
        """
        target = path_below(self.folder, entry.path)
        known = self._present(entry)
        if known is not None:
            forget(self.folder / entry.path)
            self.expect(entry.path, known.bytes)
            self.progress(entry.path, known.bytes)
            return Arrival(entry, known.bytes, expected_digest(entry) is not None, 0, already=True)
        if target.is_file():
            adopt(target)
        with Partial(target, entry) as partial:
            digest, received = self._complete(partial, entry)
        expected = expected_digest(entry)
        algorithm = expected[0] if expected else "md5"
        known = self.record.add(entry.path, algorithm, digest)
        return Arrival(entry, known.bytes, expected is not None, received, already=False)

    def _present(self, entry: Entry) -> Known | None:
        """Return the record of an existing, valid file; read the file only if it is not recorded."""
        target, expected = self.folder / entry.path, expected_digest(entry)
        known = self.record.find(entry.path)
        if known and expected in (None, (known.algorithm, known.digest)):
            return known
        if not target.is_file():
            return None
        if expected is None and target.stat().st_size != self._announced(entry):
            return None
        algorithm = expected[0] if expected else "md5"
        digest = digest_of(target, algorithm, self._progress_of(entry))
        if expected is not None and digest != expected[1]:
            return None
        return self.record.add(entry.path, algorithm, digest)

    def _announced(self, entry: Entry) -> int | None:
        """Return the size of a file that the source states."""
        url = entry.urls[0]

        def ask() -> int | None:
            with self.source_of(url).open(url) as stream:
                return stream.total

        return Tries(host_of(url), self.hosts, self.retry).persist(ask)

    def _complete(self, partial: Partial, entry: Entry) -> tuple[str, int]:
        """Receive the missing bytes and finish; if the content is wrong, start over once."""
        received = self._receive(partial, entry)
        try:
            return partial.finish(), received
        except DamagedFile:
            self.progress(entry.path, 0)
            received = self._receive(partial, entry)
        try:
            return partial.finish(), received
        except DamagedFile as error:
            raise FetchFailed(
                f"{error}, twice: the source is damaged or another version; its bytes were discarded"
            ) from error

    def _receive(self, partial: Partial, entry: Entry) -> int:
        """Receive until the file is complete; return the number of bytes received."""
        url = entry.urls[0]
        tries, received = Tries(host_of(url), self.hosts, self.retry), 0
        while True:
            start, validator = partial.position(url, self._progress_of(entry))
            if start and start == partial.size and partial.is_whole(url):
                return received
            before = received
            try:
                with self.source_of(url).open(url, start, validator) as stream:
                    self._begin(partial, entry, stream)
                    for chunk in stream.chunks:
                        _check_overrun(entry, partial.size + len(chunk))
                        partial.write(chunk)
                        received += len(chunk)
                        self.progress(entry.path, partial.size)
                _check_end(partial, stream)
                return received
            except Interrupted as error:
                tries.wait_after(error, received - before)

    def _begin(self, partial: Partial, entry: Entry, stream: Stream) -> None:
        if stream.total is not None:
            if not entry.may_have(stream.total):
                raise _wrong_size(entry, stream.total)
            self.expect(entry.path, stream.total)
        if not partial.belongs_to(entry.urls[0], stream):
            partial.discard()
            raise Interrupted(f"{shown(entry.urls[0])} has changed")
        partial.begin(entry.urls[0], stream)
        self.progress(entry.path, partial.size)

    def _progress_of(self, entry: Entry) -> Advance:
        return lambda done: self.progress(entry.path, done)


def _check_overrun(entry: Entry, size: int) -> None:
    """Raise if a file has more bytes than it was said to have: a server may send bytes without end."""
    if entry.bytes_exact and entry.bytes is not None and size > entry.bytes:
        raise _wrong_size(entry, size)


def _wrong_size(entry: Entry, size: int) -> FetchFailed:
    said = entry.size or f"{entry.bytes:,} bytes"
    return FetchFailed(
        f"{shown(entry.urls[0])} has {size:,} bytes, its page says {said}: it is another file"
    )


def _check_end(partial: Partial, stream: Stream) -> None:
    if stream.total is not None and partial.size != stream.total:
        if partial.size > stream.total:
            partial.discard()
        raise Interrupted(f"it ended after {partial.size:,} of {stream.total:,} bytes")
