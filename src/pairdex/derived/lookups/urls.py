"""Rows by their exact URL: a binary search in sorted hashes, confirmed by the stored URL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pairdex.derived.lookups.parts import Lookup, have_arrays
from pairdex.files.array_files import Arrays
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["URLS", "UrlTable"]


class UrlTable:
    """The URLs of one version of a collection; missing parts of the table are built.

    Raises
    ------
    InvalidArgument
        The collection has no column `url`.
    DamagedFile, UnsupportedFormat
        A file of the table is damaged, or has another format version.
    """

    def __init__(self, store: Store, *, progress: StepProgress | None = None) -> None:
        self._store = store
        self._parts = have_arrays(store, URLS, progress=progress)

    def find(self, urls: Sequence[str]) -> list[list[int]]:
        """Return for each URL the ids of its live rows, ascending.

        URLs are compared byte by byte, without surrounding white space.
        """
        wanted = [url.strip() for url in urls]
        hashes = np.array([_hash(url) for url in wanted], np.uint64)
        found: list[list[int]] = [[] for _ in wanted]
        live = self._store.allowed()
        for index, arrays in enumerate(self._parts):
            starts = np.searchsorted(arrays["hash"], hashes, side="left")
            ends = np.searchsorted(arrays["hash"], hashes, side="right")
            for place in np.flatnonzero(ends > starts):
                rows = arrays["row"][starts[place] : ends[place]]
                ids = np.sort(rows.astype(np.int64)) + self._store.first_id(index)
                found[place] += self._confirmed(ids, wanted[place], live)
        return found

    def _confirmed(
        self, ids: NDArray[np.int64], url: str, live: NDArray[np.bool_] | None
    ) -> list[int]:
        if live is not None:
            ids = ids[live[ids]]
        stored = self._store.read(ids, ["url"])["url"].to_pylist()
        return [
            row for row, other in zip(ids.tolist(), stored, strict=True) if other.strip() == url
        ]


def _make(columns: list[pa.ChunkedArray]) -> Arrays:
    hashes, rows, first = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)], 0
    for column in columns:
        known = np.flatnonzero(column.is_valid())
        texts = column.drop_null().to_pylist()
        hashes.append(np.array([_hash(text.strip()) for text in texts], np.uint64))
        rows.append((known + first).astype(np.uint32))
        first += len(column)
    together = np.concatenate(hashes)
    order = np.argsort(together, kind="stable")
    return {"hash": together[order], "row": np.concatenate(rows)[order]}


def _hash(url: str) -> int:
    return xxhash.xxh3_64_intdigest(url.encode(errors="surrogatepass"))


def _fits(arrays: Arrays, rows: int) -> bool:
    return len(arrays["hash"]) == len(arrays["row"]) <= rows


URLS = Lookup("urls", 1, "url", _make, _fits)
