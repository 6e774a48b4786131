"""A partly received file: `NAME.part`, and `NAME.part.json` that names its source.

Invariant: `NAME` appears only with the requested bytes. `NAME.part` is always the beginning of the
file that `NAME.part.json` names; otherwise it is discarded.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import xxhash

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.contents import check_contents
from pairdex.downloads.streams import Stream, shown
from pairdex.errors import DamagedFile, FetchFailed, WriteFailed
from pairdex.files import foreign_json, lock
from pairdex.files.atomic import make_folder, partials, sync_folder, write_bytes
from pairdex.files.foreign_names import open_without_links

__all__ = ["Advance", "Partial", "adopt", "digest_of", "expected_digest", "forget", "new_digest"]

_READ_BYTES = 1 << 20
_OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


Advance = Callable[[int], None]
"""Called with the number of bytes of a file that were read or received."""


class Digest(Protocol):
    """A checksum of the bytes so far."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return it in hexadecimal digits."""


@dataclass(frozen=True)
class _Origin:
    """The address, and the version of its file, that the bytes come from."""

    url: str
    validator: str | None
    total: int | None

    @property
    def is_plausible(self) -> bool:
        """Whether the values have the right types: a note file may hold anything."""
        validator_fits = self.validator is None or isinstance(self.validator, str)
        total_fits = self.total is None or (type(self.total) is int and 0 <= self.total < 1 << 63)
        return isinstance(self.url, str) and validator_fits and total_fits


def new_digest(algorithm: str) -> Digest:
    """Return an empty digest of an algorithm: `xxh3` is XXH3-128, the others are those of hashlib."""
    if algorithm == "xxh3":
        return xxhash.xxh3_128()
    return hashlib.new(algorithm, usedforsecurity=False)


def expected_digest(entry: Entry) -> tuple[str, str] | None:
    """Return algorithm and digest of the published checksum, the strongest one if there are several."""
    if entry.xxh3:
        return "xxh3", entry.xxh3.lower()
    if entry.sha256:
        return "sha256", entry.sha256.lower()
    return ("md5", entry.md5.lower()) if entry.md5 else None


def digest_of(path: Path, algorithm: str, progress: Advance) -> str:
    """Return the digest of a file."""
    digest = new_digest(algorithm)
    done = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress(done)
    return digest.hexdigest()


def adopt(target: Path) -> None:
    """Rename a wrong file to `NAME.part`, a possible beginning of the right one, or remove it."""
    partial, note = _part_paths(target)
    if partial.exists() or target.is_symlink():  # the target of a link is not ours
        target.unlink()
        return
    note.unlink(missing_ok=True)  # it described other bytes
    target.replace(partial)


def forget(target: Path) -> None:
    """Remove the note left by a process that was killed just after its file was complete."""
    partial, note = _part_paths(target)
    if not partial.exists():
        note.unlink(missing_ok=True)


def _part_paths(target: Path) -> tuple[Path, Path]:
    return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")


class Partial:
    """The received beginning of `target`, locked against other processes while open."""

    def __init__(self, target: Path, entry: Entry) -> None:
        self._target, self._entry = target, entry
        self._path, self._note = _part_paths(target)
        self._expected = expected_digest(entry)
        self._algorithm = self._expected[0] if self._expected else "md5"
        self._digest = self._new_digest()
        self._origin: _Origin | None = None
        self._hashed = self._finished = False
        self.size = 0

    def __enter__(self) -> Partial:
        make_folder(self._path.parent)
        try:
            self._file = open_without_links(self._path, os.O_RDWR | os.O_CREAT)
            lock.acquire(self._file, self._path)
        except BlockingIOError as error:
            os.close(self._file)
            raise FetchFailed(
                f"{self._path} is being fetched by another process; wait until it has ended"
            ) from error
        except WriteFailed:
            raise
        except OSError as error:
            raise self._failed(error) from error
        for leftover in partials(self._note.parent, self._note.name):
            leftover.unlink(missing_ok=True)
        self.size = os.fstat(self._file).st_size
        self._origin = self._read_note()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.size and not self._finished:
            for path in (self._path, self._note):
                path.unlink(missing_ok=True)
        os.close(self._file)

    def position(self, url: str, progress: Advance) -> tuple[int, str | None]:
        """Return the position to resume `url` from, and the validator of the received bytes.

        Bytes from an unknown or another address are kept only if a checksum will verify them. Their
        digest is computed here, before a connection is opened.
        """
        same = self._origin is not None and self._origin.url == shown(url)
        validator = self._origin.validator if self._origin and same else None
        if self.size and not (self._expected or validator):
            return 0, None
        if not self._hashed:
            self._hash_what_is_there(progress)
        return self.size, validator

    def is_whole(self, url: str) -> bool:
        """Return whether `url` is already complete."""
        return self._origin is not None and (self._origin.url, self._origin.total) == (
            shown(url),
            self.size,
        )

    def belongs_to(self, url: str, stream: Stream) -> bool:
        """Return whether the stream's size agrees with the partly received file."""
        origin = self._origin
        if origin is None or origin.url != shown(url) or not stream.start:
            return True
        return origin.total is None or stream.total in (None, origin.total)

    def begin(self, url: str, stream: Stream) -> None:
        """Prepare to append the stream's bytes; discard earlier bytes if it begins at zero.

        Raises
        ------
        WriteFailed
            Free space is too small for the rest.
        """
        if stream.start != self.size:
            self.discard()
        validator = stream.validator
        if stream.start and validator is None and self._origin and self._origin.url == shown(url):
            validator = self._origin.validator
        self._origin = _Origin(shown(url), validator, stream.total)
        write_bytes(self._note, json.dumps(asdict(self._origin)).encode())
        if stream.total is not None:
            self._check_space(stream.total - stream.start)

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises
        ------
        WriteFailed
            The disk is full; the written bytes stay, so that a later call can resume.
        """
        view = memoryview(chunk)
        while view:
            try:
                count = os.pwrite(self._file, view, self.size)
            except OSError as error:
                raise self._failed(error) from error
            self._digest.update(view[:count])
            self.size += count
            view = view[count:]

    def discard(self) -> None:
        """Discard all bytes."""
        os.ftruncate(self._file, 0)
        self.size, self._digest, self._hashed = 0, self._new_digest(), True

    def finish(self) -> str:
        """Rename the file to `NAME` and return its digest; discard wrong bytes instead.

        Raises
        ------
        DamagedFile
            The checksum differs; or none is published, and the file is incomplete by its format.
        WriteFailed
            The bytes cannot be flushed to disk.
        """
        try:
            self._verify()
        except DamagedFile:
            self.discard()
            raise
        try:
            os.fsync(self._file)
            self._path.replace(self._target)
            sync_folder(self._target.parent)
        except OSError as error:
            raise self._failed(error) from error
        self._finished = True
        self._note.unlink(missing_ok=True)
        return self._digest.hexdigest()

    def _verify(self) -> None:
        if self._expected is None:
            check_contents(self._path, self._target.name)
            return
        algorithm, expected = self._expected
        if self._digest.hexdigest() != expected:
            raise DamagedFile(
                f"{shown(self._entry.urls[0])} has the {algorithm} {self._digest.hexdigest()}, "
                f"expected {expected}"
            )

    def _hash_what_is_there(self, progress: Advance) -> None:
        self._digest, position = self._new_digest(), 0
        while chunk := os.pread(self._file, _READ_BYTES, position):
            self._digest.update(chunk)
            position += len(chunk)
            progress(position)
        self._hashed = True

    def _read_note(self) -> _Origin | None:
        try:
            facts = foreign_json.parse(self._note.read_bytes())
            origin = _Origin(facts["url"], facts["validator"], facts["total"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # the bytes then have an unknown origin
        return origin if origin.is_plausible else None

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if needed > free:
            raise WriteFailed(
                f"cannot write {self._path}: {needed:,} more bytes are needed, {free:,} are free; "
                "free space and run the same command again"
            )

    def _failed(self, error: OSError) -> WriteFailed:
        total = self._origin.total if self._origin else None
        needed = f"; {total - self.size:,} more bytes are needed" if total else ""
        advice = "free space" if error.errno in _OUT_OF_SPACE else "choose a writable place"
        return WriteFailed(
            f"cannot write {self._path}: {error.strerror or error}{needed}; "
            f"{advice} and run the same command again"
        )

    def _new_digest(self) -> Digest:
        return new_digest(self._algorithm)
