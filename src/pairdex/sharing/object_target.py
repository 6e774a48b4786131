"""Push into a bucket or container: s3://, gs://, az://.

Each object carries its XXH3-128 as metadata: a push that goes on after a kill knows what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pairdex.downloads.object_stores import ObjectStores, explained
from pairdex.downloads.retry import Hosts, Retry, Tries
from pairdex.downloads.streams import Interrupted, NotThere, host_of, shown
from pairdex.errors import WriteFailed
from pairdex.sharing.place import Place
from pairdex.sharing.target import Advance, Upload, another_push

if TYPE_CHECKING:
    from obstore import PutMode

__all__ = ["ObjectTarget"]

_CHECKSUM = "pairdex-xxh3"
_BLOCK_BYTES = 16 << 20  # of one request; a part of a multipart upload
_MAX_PARTS = 9_000  # of one object; S3 allows 10,000
_AT_ONCE = 2  # parts of one file; several files are sent at once


class ObjectTarget:
    """A bucket or container; see `Target`."""

    def __init__(self, place: Place, retry: Retry | None = None) -> None:
        self._place, self._retry = place, retry or Retry()
        self._store, self._folder = ObjectStores().find(place.url)
        self._hosts = Hosts(self._retry)

    def has(self, upload: Upload) -> bool:
        """Return whether an object of this name with these very bytes is there; see `Target`."""
        import obstore  # noqa: PLC0415 - an extra

        def ask() -> bool:
            with explained(self._url(upload.name)):
                found = obstore.get(self._store, self._key(upload.name), options={"head": True})
            known = found.attributes.get(_CHECKSUM)
            return (found.meta["size"], known) == (upload.size, upload.checksum)

        try:
            return self._tries().persist(ask)
        except NotThere:
            return False

    def put(self, upload: Upload, advance: Advance) -> None:
        """Send a file; see `Target`."""
        import obstore  # noqa: PLC0415 - an extra

        block_bytes = max(_BLOCK_BYTES, -(-upload.size // _MAX_PARTS))

        def send() -> None:
            sent = 0

            def count(size: int) -> None:
                nonlocal sent
                sent += size
                advance(size)

            try:
                with explained(self._url(upload.name)):
                    obstore.put(
                        self._store,
                        self._key(upload.name),
                        upload.blocks(block_bytes, count),
                        attributes={_CHECKSUM: upload.checksum},
                        chunk_size=block_bytes,
                        max_concurrency=_AT_ONCE,
                    )
            except Interrupted:
                advance(-sent)  # it is sent again
                raise

        with self._writing(upload.name):
            self._tries().persist(send)

    def publish(self, name: str, data: bytes, version: str | None, retired: Sequence[str]) -> None:
        """Write the list and remove retired objects; see `Target`."""
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415

        mode: PutMode = "create" if version is None else {"e_tag": version}
        with self._writing(name):
            try:
                with explained(self._url(name)):
                    try:
                        obstore.put(self._store, self._key(name), data, mode=mode)
                    except (AlreadyExistsError, PreconditionError) as error:
                        raise another_push(self._place) from error
                    for old in retired:
                        obstore.delete(self._store, self._key(old))
            except Interrupted as error:
                raise WriteFailed(f"{error.reason}; push again") from error

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name

    def _url(self, name: str) -> str:
        return self._place.url_of(name)

    def _tries(self) -> Tries:
        return Tries(host_of(self._place.url), self._hosts, self._retry)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Explain why an object cannot be written: to write, its bucket must be there."""
        try:
            yield
        except NotThere as error:
            raise WriteFailed(
                f"cannot write {shown(self._url(name))}: {error}; create the bucket first"
            ) from error
