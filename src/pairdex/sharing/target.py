"""The interface of places that a collection can be pushed to, and the files that go there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import xxhash

from pairdex.errors import CollectionBusy, DamagedFile
from pairdex.sharing.place import Place

__all__ = ["Advance", "Target", "Upload", "another_push"]

Advance = Callable[[int], None]
"""Called with the number of bytes that were sent since the last call."""


@dataclass(frozen=True)
class Upload:
    """A file to send: the name of its object, its size in bytes and XXH3-128, and its bytes or where they are."""

    name: str
    size: int
    checksum: str
    source: Path | bytes

    def blocks(self, block_bytes: int, advance: Advance | None = None) -> Iterator[bytes]:
        """Yield the bytes in blocks.

        Raises
        ------
        DamagedFile
            They do not have the checksum; raised before the last block is given.
        """
        digest, waiting = xxhash.xxh3_128(), b""
        for block in self._read(block_bytes):
            if waiting:
                yield waiting
            digest.update(block)
            waiting = block
            if advance:
                advance(len(block))
        if digest.hexdigest() != self.checksum:
            raise DamagedFile(
                f"{self.source if isinstance(self.source, Path) else self.name} has the checksum "
                f"{digest.hexdigest()}, expected {self.checksum}: it is damaged or was written "
                "meanwhile; check it with pairdex verify and push again"
            )
        if waiting:
            yield waiting

    def _read(self, block_bytes: int) -> Iterator[bytes]:
        if not isinstance(self.source, Path):
            yield self.source
            return
        with self.source.open("rb", buffering=0) as file:
            while block := file.read(block_bytes):
                yield block


class Target(Protocol):
    """A place that a collection is pushed to. Several threads send files at once."""

    def has(self, upload: Upload) -> bool:
        """Return whether an object of this name with these very bytes is there already."""

    def put(self, upload: Upload, advance: Advance) -> None:
        """Send a file; its object appears whole or not at all.

        Raises
        ------
        WriteFailed, FetchFailed
            The place is full, not writable, or cannot be reached.
        DamagedFile
            The file has not the checksum.
        """

    def publish(self, name: str, data: bytes, version: str | None, retired: Sequence[str]) -> None:
        """Make `data` the object `name` if that still has this version, None for no such object.

        Afterwards remove the objects `retired`, as far as they are there.

        Raises
        ------
        CollectionBusy
            Another push was faster.
        WriteFailed, FetchFailed
            As `put`.
        """


def another_push(place: Place) -> CollectionBusy:
    """Return the error for a list that changed while files were sent."""
    return CollectionBusy(
        f"another push to {place} ended meanwhile; nothing of this one is visible: push again"
    )
