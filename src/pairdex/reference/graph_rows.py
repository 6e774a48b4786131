"""The rows of a graph or of an all-kNN gold standard, and the true neighbours of some of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import find_codes, open_or_build_codes
from pairdex.derived.projections.files import Projection
from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.unfinished import read_note, write_note
from pairdex.knn import cosine, euclidean, hamming
from pairdex.progress import Progress, at_step
from pairdex.store.store import Store, VectorField
from pairdex.store.vectors_view import VectorsView

__all__ = ["ExactTable", "GraphRows", "find_exactly"]

_ROWS_AT_ONCE = 1_000
_SECONDS_BETWEEN_SAVES = 20.0
_DONE = "graph.json"

Neighbours = tuple[NDArray[np.int64], NDArray[np.floating[Any]]]


class GraphRows:
    """The rows of a collection that are not removed, in one of its spaces.

    Parameters
    ----------
    space
        A kind of vectors, compared by 1 - cos, or a projection, compared by its own distance.
    folder
        Where results are kept until they are complete.
    """

    def __init__(self, store: Store, space: VectorField | Projection, folder: Path) -> None:
        self.store, self.space, self.folder = store, space, folder
        if isinstance(space, Projection):
            width, dtype = space.model.width, space.model.dtype
            self.vectors = VectorsView(space.blocks, width, np.dtype(dtype))
        else:
            self.vectors = store.vectors(space)
        self.allowed = store.allowed()
        self.ids: NDArray[np.int64] = (
            np.arange(store.rows, dtype=np.int64)
            if self.allowed is None
            else np.flatnonzero(self.allowed)
        )
        self.codes = None if isinstance(space, Projection) else find_codes(store, space)

    @property
    def on(self) -> str:
        """The name of the space."""
        return self.space.name if isinstance(self.space, Projection) else self.space

    def make_codes(self, progress: Progress | None) -> None:
        """Build the codes that make exact searches fast; a projection needs none."""
        if not isinstance(self.space, Projection):
            step = at_step(progress, "making codes")
            self.codes = open_or_build_codes(self.store, self.space, progress=step)

    def nearest(self, ids: NDArray[np.int64], k: int) -> Neighbours:
        """Return the true k nearest other rows of some rows."""
        found, distances = self._search(self.vectors[ids], k + 1)
        is_itself = found == ids[:, None]
        is_itself[~is_itself.any(axis=1), -1] = True  # others are as near as the row itself
        shape = (len(ids), k)
        return found[~is_itself].reshape(shape), distances[~is_itself].reshape(shape)

    def _search(self, rows: NDArray[Any], k: int) -> Neighbours:
        blocks: list[NDArray[Any]] = list(self.vectors.blocks)
        if not isinstance(self.space, Projection):
            queries = rows.astype(np.float32)
            found = cosine.nearest(blocks, queries, k, allowed=self.allowed, codes=self.codes)
            return found.ids, found.distances
        if self.space.kind == "pca":
            return euclidean.nearest(blocks, rows, k, allowed=self.allowed)
        ids, counts = hamming.nearest(blocks, rows, k, allowed=self.allowed)
        return ids, counts.astype(np.float64)


@dataclass(frozen=True)
class ExactTable:
    """True neighbours, by place among the rows of the graph."""

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]


def find_exactly(
    rows: GraphRows, k: int, facts: dict[str, Any], progress: Progress | None
) -> ExactTable:
    """Find the true k nearest other rows of every row; the same facts resume a killed search."""
    n, folder = len(rows.ids), rows.folder
    done = _recorded(folder, facts)
    make = map_array if done else new_array
    options: dict[str, Any] = {"mode": "r+"} if done else {}
    ids = make(folder / "exact_ids", (n, k), np.int64, **options)
    distances = make(folder / "exact_distances", (n, k), np.float64, **options)
    saved = time.monotonic()
    for first in range(done, n, _ROWS_AT_ONCE):
        part = slice(first, min(first + _ROWS_AT_ONCE, n))
        ids[part], distances[part] = rows.nearest(rows.ids[part], k)
        if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
            for array in (ids, distances):
                assert isinstance(array, np.memmap)
                array.flush()
            write_note(folder / _DONE, {"plan": facts, "done": part.stop})
            saved = time.monotonic()
        if progress:
            progress("searching", part.stop, n)
    return ExactTable(ids, distances)


def _recorded(folder: Path, plan: dict[str, Any]) -> int:
    content = read_note(folder / _DONE)
    return content["done"] if content is not None and content["plan"] == plan else 0
