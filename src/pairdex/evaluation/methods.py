"""All search methods of a collection: exact with and without codes, index, and projections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex import search
from pairdex.derived.codes import find_codes, open_or_build_codes
from pairdex.derived.index import find_index
from pairdex.derived.projections.files import ON, Projection, find_projections, open_projection
from pairdex.derived.projections.search import nearest_projected
from pairdex.ivf.efforts import TUNED_K, OperatingPoints
from pairdex.ivf.search import InvertedIndex
from pairdex.knn.codes import Codes
from pairdex.progress import StepProgress
from pairdex.store.store import Store, VectorField

__all__ = ["IdsAndDistances", "SearchMethod", "search_methods"]

RECALLS = (0.8, 0.9, 0.95, 0.97, 0.99)  # recalls at which to compare index searches

IdsAndDistances = tuple[NDArray[np.int64], NDArray[Any]]
"""Ids (n, k), with -1 for a missing neighbour, and the distances in the searched space."""


@dataclass(frozen=True)
class SearchMethod:
    """A search method: maps vectors (n, dim) and k to ids and distances.

    Attributes
    ----------
    name
        The stem of its result file: `exact`, `exact-no-codes`, `pca96`.
    algo, params
        Attributes of the result file.
    buildtime
        Build time in seconds: measured if its data was just built, 0 if it needs none. None if its
        data already existed.
    """

    name: str
    algo: str
    params: str
    buildtime: float | None
    search: Callable[[NDArray[np.float32], int], IdsAndDistances]


def search_methods(
    store: Store, on: VectorField, *, progress: StepProgress | None = None
) -> Iterator[SearchMethod]:
    """Yield every search method for one kind of vectors; build missing codes.

    Raises
    ------
    Mismatch, DamagedFile
        A projection was made from older vectors, or is damaged.
    """
    is_there, started = find_codes(store, on) is not None, time.perf_counter()
    codes = open_or_build_codes(store, on, progress=progress)
    if codes is not None:
        buildtime = None if is_there else time.perf_counter() - started
        by_codes = partial(_exactly, store, on, codes)
        yield SearchMethod("exact", "pairdex exact", f"on={on} by=codes", buildtime, by_codes)
    yield from _by_index(store, on)
    by_rows = partial(_exactly, store, on, None)
    yield SearchMethod(
        "exact-no-codes", "pairdex exact, no codes", f"on={on} by=rows", 0.0, by_rows
    )
    for name in find_projections(store) if on == ON else ():
        projection = open_projection(store, name)
        params = f"on={name} method={projection.record.method}"
        within = partial(_in_projection, store, projection)
        yield SearchMethod(name, f"pairdex {name}", params, None, within)


def _by_index(store: Store, on: VectorField) -> Iterator[SearchMethod]:
    """Yield an index search for each recall with a known operating point."""
    found = find_index(store, on)
    if found is None:
        return
    _, points = found
    for recall in RECALLS:
        effort = points.pick("own", TUNED_K[0], recall)
        if effort is not None:
            params = f"on={on} recall={recall:g} nprobe={effort.nprobe} rerank={effort.rerank}"
            search_it = partial(_approximately, store, on, found, recall=recall)
            yield SearchMethod(f"ivf-{recall:g}", "pairdex ivf", params, None, search_it)


def _approximately(
    store: Store,
    on: VectorField,
    index: tuple[InvertedIndex, OperatingPoints],
    vectors: NDArray[np.float32],
    k: int,
    *,
    recall: float,
) -> IdsAndDistances:
    found = search.nearest_by_index(store, *index, vectors, k, recall=recall)
    if found is None:  # the exact search reaches this recall at a lower cost
        found = search.nearest(store, vectors, k, on=on, codes=find_codes(store, on))
    return found.ids, found.distances


def _exactly(
    store: Store, on: VectorField, codes: Codes | None, vectors: NDArray[np.float32], k: int
) -> IdsAndDistances:
    found = search.nearest(store, vectors, k, on=on, codes=codes)
    return found.ids, found.distances


def _in_projection(
    store: Store, projection: Projection, vectors: NDArray[np.float32], k: int
) -> IdsAndDistances:
    return nearest_projected(projection, vectors, k, allowed=store.allowed())
