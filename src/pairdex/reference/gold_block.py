"""The gold standard of some queries, found on another machine that sees the collection."""

from __future__ import annotations

import functools
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
from pairdex.store.sharded import open_store
from pairdex.store.store import Store, VectorField

__all__ = ["GoldBlock", "find_block"]


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
    if isinstance(space, Projection):
        return search.nearest_in_space(store, space, block.queries, block.k)
    return search.nearest(store, block.queries, block.k, on=space, codes=codes)


@functools.lru_cache(maxsize=1)
def _opened(
    collection: Path, on: str, *, use_codes: bool
) -> tuple[Store, VectorField | Projection, AnyCodes | None]:
    store = open_store(collection)
    space = search.open_space(store, on)
    if isinstance(space, Projection) or not use_codes:
        return store, space, None
    return store, space, find_codes(store, space)
