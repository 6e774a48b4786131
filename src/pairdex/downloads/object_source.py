"""Read files from object stores, in ranges that follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.object_stores import ObjectStores, explained
from pairdex.downloads.streams import Interrupted, Stream, shown

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore

__all__ = ["ObjectSource"]

_RANGE_BYTES = 8 << 20  # of one request


class ObjectSource:
    """Reads s3:, gs: and az: addresses."""

    def __init__(self) -> None:
        self._stores = ObjectStores()

    @contextmanager
    def open(
        self, url: str, start: int = 0, validator: str | None = None, stop: int | None = None
    ) -> Iterator[Stream]:
        """Open a file at `start` if it still matches `validator`; see `Source`."""
        store, key = self._stores.find(url)
        import obstore  # noqa: PLC0415 - an extra; `find` explains its absence

        if stop is not None and validator is None:
            yield _one_range(store, key, url, (start, stop))
            return
        with explained(url):
            meta = obstore.head(store, key)
        size, tag = meta["size"], meta["e_tag"]
        begin = start if start <= size and validator in (None, tag) else 0
        end = size if stop is None else min(stop, size)
        yield Stream(begin, size, tag, _ranges(store, key, url, range(begin, end), tag))

    def find(self, url: str) -> list[Entry]:
        """Return the files below an address; see `Source`."""
        store, key = self._stores.find(url)
        import obstore  # noqa: PLC0415 - as above

        prefix = f"{key}/" if key else ""
        with explained(url):
            found = [each for some in obstore.list(store, prefix or None) for each in some]
        names = {each["path"].removeprefix(prefix): each["size"] for each in found}
        base = url.rstrip("/")
        return [
            Entry(name, (f"{base}/{name}",), bytes=names[name], bytes_exact=True)
            for name in sorted(names)
        ]


def _one_range(store: ObjectStore, key: str, url: str, ends: tuple[int, int]) -> Stream:
    """Return a range of a file, whatever its version, in one request."""
    import obstore  # noqa: PLC0415 - as above

    with explained(url):
        answer = obstore.get(store, key, options={"range": ends})
    return Stream(ends[0], answer.meta["size"], answer.meta["e_tag"], _content(answer, url))


def _content(answer: GetResult, url: str) -> Iterator[bytes]:
    with explained(url):
        yield memoryview(answer.bytes())  # type: ignore[misc] # bytes-like: no copy


def _ranges(
    store: ObjectStore, key: str, url: str, left: range, tag: str | None
) -> Iterator[bytes]:
    """Yield the bytes of a file in ranges, all of the same version."""
    import obstore  # noqa: PLC0415 - as above
    from obstore.exceptions import PreconditionError  # noqa: PLC0415

    for first in range(left.start, left.stop, _RANGE_BYTES):
        last = min(left.stop, first + _RANGE_BYTES)
        with explained(url):
            try:
                answer = obstore.get(store, key, options={"range": (first, last), "if_match": tag})
                yield from _content(answer, url)
            except PreconditionError as error:
                raise Interrupted(f"{shown(url)} has changed") from error
