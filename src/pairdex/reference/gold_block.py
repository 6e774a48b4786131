"""The gold standard of blocks of queries, found here or on other machines that see the collection."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pairdex import search
from pairdex.derived.codes import find_codes
from pairdex.derived.projections.files import Projection
from pairdex.errors import Mismatch
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes
from pairdex.store.manifest import MANIFEST
from pairdex.store.sharded import open_store
from pairdex.store.store import Store, VectorField
from pairdex.work.executors import executor_for

__all__ = ["GoldBlock", "find_block", "find_on_cluster", "nearest_rows"]

_TASK_BYTES = 1 << 30  # of one block on a cluster: queries, neighbours, libraries; not mapped files


@dataclass(frozen=True, eq=False)
class GoldBlock:
    """Queries (n, dim) whose k nearest rows are wanted; `checksum` is that of the collection's live rows."""

    collection: Path
    checksum: str
    on: str
    k: int
    use_codes: bool
    queries: NDArray[Any]


def find_block(block: GoldBlock) -> cosine.Neighbours:
    """Return the exact k nearest rows of the queries.

    Raises
    ------
    Mismatch
        The collection has changed.
    """
    store, space, codes = _opened(block.collection, block.on, use_codes=block.use_codes)
    if store.checksum != block.checksum:
        _opened.cache_clear()  # it may have been opened for an earlier version
        store, space, codes = _opened(block.collection, block.on, use_codes=block.use_codes)
    if store.checksum != block.checksum:
        raise Mismatch(f"rows of {store.path} have changed meanwhile: run the same command again")
    return nearest_rows(store, space, block.queries, block.k, codes=codes)


def nearest_rows(
    store: Store,
    space: VectorField | Projection,
    queries: NDArray[Any],
    k: int,
    *,
    codes: AnyCodes | None,
) -> cosine.Neighbours:
    """Return the exact k nearest rows of queries (n, dim), in a projection by its own distance."""
    if isinstance(space, Projection):
        return search.nearest_in_space(store, space, queries, k)
    return search.nearest(store, queries, k, on=space, codes=codes)


def find_on_cluster(
    cluster: str,
    store: Store,
    space: VectorField | Projection,
    blocks: Sequence[tuple[int, NDArray[Any]]],
    k: int,
    *,
    use_codes: bool,
) -> Iterator[tuple[int, cosine.Neighbours]]:
    """Yield the answers of blocks in any order, each with the place of its first query.

    Raises
    ------
    MissingExtra, ClusterFailed, Mismatch
        As `executor_for`; the collection has changed.
    """
    path, checksum = store.path.resolve(), store.checksum
    on = space.name if isinstance(space, Projection) else space
    tasks = [GoldBlock(path, checksum, on, k, use_codes, block) for _, block in blocks]
    with executor_for(cluster=cluster, folders=(path,), witness=path / MANIFEST) as executor:
        for place, found in executor.each(find_block, tasks, memory_bytes=_TASK_BYTES):
            yield blocks[place][0], found


@functools.lru_cache(maxsize=1)
def _opened(
    collection: Path, on: str, *, use_codes: bool
) -> tuple[Store, VectorField | Projection, AnyCodes | None]:
    store = open_store(collection)
    space = search.open_space(store, on)
    if isinstance(space, Projection) or not use_codes:
        return store, space, None
    return store, space, find_codes(store, space)
