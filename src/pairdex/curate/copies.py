"""Finding rows whose vectors are the same bytes, by hash and then by comparison."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xxhash
from numpy.typing import NDArray

from pairdex.progress import StepProgress
from pairdex.store.vectors_view import VectorsView

__all__ = ["Order", "find_copies", "hash_rows"]

_BLOCK_ROWS = 8_192  # rows read at once: 8 MB at 512 dimensions
_BUCKET_ROWS = 1 << 22  # hashes sorted at once: 100 MB

Order = range | NDArray[np.int64]
"""Ids in the order in which they are visited."""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def hash_rows(
    vectors: VectorsView,
    order: Order,
    hashes: NDArray[np.uint64],
    progress: StepProgress | None,
) -> None:
    """Write the hash of the i-th row to visit to `hashes[i]`."""
    for first in range(0, len(order), _BLOCK_ROWS):
        rows = vectors[np.asarray(order[first : first + _BLOCK_ROWS], np.int64)]
        hashes[first : first + len(rows)] = [xxhash.xxh3_64_intdigest(row.data) for row in rows]
        if progress:
            progress(first + len(rows), len(order))


def find_copies(
    vectors: VectorsView,
    order: Order,
    hashes: NDArray[np.uint64],
) -> Iterator[Pairs]:
    """Yield ids of copies, and for each the first row to be visited that has the same bytes.

    A row that has the hash of another but not its bytes is no copy.
    """
    n = len(order)
    n_buckets = -(-n // _BUCKET_ROWS)
    for bucket in range(n_buckets):
        places = np.concatenate(
            [
                first + np.flatnonzero(hashes[first : first + _BUCKET_ROWS] % n_buckets == bucket)
                for first in range(0, n, _BUCKET_ROWS)
            ]
        )
        yield from _in_bucket(vectors, order, places, hashes[places])


def _in_bucket(
    vectors: VectorsView,
    order: Order,
    places: NDArray[np.int64],
    hashes: NDArray[np.uint64],
) -> Iterator[Pairs]:
    by_hash = np.argsort(
        hashes, kind="stable"
    )  # those of one hash stay in the order of their visit
    places, hashes = places[by_hash], hashes[by_hash]
    while len(places):
        is_later = np.zeros(len(places), np.bool_)
        is_later[1:] = hashes[1:] == hashes[:-1]
        starts = np.maximum.accumulate(np.where(is_later, 0, np.arange(len(places))))
        later, earlier = places[is_later], places[starts[is_later]]
        is_copy = np.zeros(len(later), np.bool_)
        for first in range(0, len(later), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            copies, firsts = _ids(order, later[block]), _ids(order, earlier[block])
            same = vectors[copies].view(np.uint16) == vectors[firsts].view(np.uint16)
            is_copy[block] = same.all(axis=1)
            yield copies[is_copy[block]], firsts[is_copy[block]]
        places, hashes = later[~is_copy], hashes[is_later][~is_copy]  # of one hash by accident


def _ids(order: Order, places: NDArray[np.int64]) -> NDArray[np.int64]:
    return places + order.start if isinstance(order, range) else order[places]
