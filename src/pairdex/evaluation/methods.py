"""All search methods of a collection: exact with and without codes, index, and projections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import find_codes, open_or_build_codes
from pairdex.derived.projections.files import ON, find_projections, open_projection
from pairdex.knn.cosine import Neighbours
from pairdex.progress import StepProgress
from pairdex.search.options import SearchOptions
from pairdex.search.searcher import Searcher
from pairdex.store.store import Store, VectorField

__all__ = ["SearchMethod", "search_methods"]

RECALLS = (0.8, 0.9, 0.95, 0.97, 0.99)  # recalls at which to compare index searches


@dataclass(frozen=True)
class SearchMethod:
    """A search method: maps vectors (n, dim) and k to neighbours.

    What it really did is in the report of each answer: an index may leave a search to the exact one.

    Attributes
    ----------
    name
        The stem of its result file: `exact`, `exact-no-codes`, `ivf-0.9`, `pca96`.
    buildtime
        Build time in seconds: measured if its data was just built, recorded with an index, 0 if it needs
        none. None if its data already existed and does not record it.
    """

    name: str
    buildtime: float | None
    search: Callable[[NDArray[np.float32], int], Neighbours]


def search_methods(
    store: Store,
    on: VectorField,
    queries: NDArray[np.float32],
    k: int,
    *,
    progress: StepProgress | None = None,
) -> Iterator[SearchMethod]:
    """Yield every search method for these queries on one kind of vectors; build missing codes.

    Raises
    ------
    Mismatch, DamagedFile
        A projection was made from older vectors, or is damaged.
    """
    is_there, started = find_codes(store, on) is not None, time.perf_counter()
    codes = open_or_build_codes(store, on, progress=progress)
    with_codes, without = Searcher(store, use_codes=True), Searcher(store, use_codes=False)
    exactly = SearchOptions(exact=True)
    if codes is not None:
        buildtime = None if is_there else time.perf_counter() - started
        yield SearchMethod("exact", buildtime, partial(_search, with_codes, on, exactly))
    yield from _by_index(with_codes, on, queries, k)
    yield SearchMethod("exact-no-codes", 0.0, partial(_search, without, on, exactly))
    for name in find_projections(store) if on == ON else ():
        open_projection(store, name)  # raises if it is damaged or outdated
        yield SearchMethod(name, None, partial(_search, with_codes, name, exactly))


def _by_index(
    searcher: Searcher, on: VectorField, queries: NDArray[np.float32], k: int
) -> Iterator[SearchMethod]:
    """Yield a search for each recall that the index promises for such queries."""
    found = searcher.index(on)
    if found is None:
        return
    index, points = found
    for recall in RECALLS:
        if index.plan(points, queries, k, recall) is not None:
            search = partial(_search, searcher, on, SearchOptions(recall=recall))
            yield SearchMethod(f"ivf-{recall:g}", points.build_seconds, search)


def _search(
    searcher: Searcher,
    on: str,
    options: SearchOptions,
    vectors: NDArray[np.float32],
    k: int,
) -> Neighbours:
    return searcher.nearest(searcher.space(on), vectors, k, options)
