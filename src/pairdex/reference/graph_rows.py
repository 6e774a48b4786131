"""The rows of a graph or of an all-kNN gold standard, and the true neighbours of some of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import find_codes, open_or_build_codes
from pairdex.derived.projections.files import Projection
from pairdex.errors import Mismatch
from pairdex.files.mapped_arrays import map_array, new_array
from pairdex.files.unfinished import read_note, write_note
from pairdex.knn import cosine, euclidean, hamming
from pairdex.progress import Meter, Progress, at_step
from pairdex.search import open_space
from pairdex.store.manifest import MANIFEST
from pairdex.store.store import Store, VectorField
from pairdex.store.vectors_view import VectorsView
from pairdex.work.executors import executor_for
from pairdex.work.reopened import Reopened

__all__ = ["ExactTable", "GraphRows", "find_exactly"]

_ROWS_AT_ONCE = 1_000
_TASK_BYTES = 1 << 30  # of one block: rows, neighbours, flags, libraries; not mapped files
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

    def reopened(self) -> Reopened[GraphRows]:
        """Return the rows for other processes, which raise Mismatch if rows have changed."""
        arguments = (
            self.store.path.resolve(),
            self.store.checksum,
            self.on,
            self.codes is not None,
        )
        return Reopened(_open_same, arguments, self)

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
    rows: GraphRows,
    k: int,
    facts: dict[str, Any],
    progress: Progress | None,
    *,
    cluster: str | None = None,
) -> ExactTable:
    """Find the true k nearest other rows of every row; the same facts resume a killed search.

    With `cluster`, the nodes of the Ray cluster at this address search for blocks of rows.

    Raises
    ------
    MissingExtra, ClusterFailed, Mismatch
        As `executor_for`; the collection has changed.
    """
    n, source = len(rows.ids), rows.reopened()
    table, done = _kept(rows.folder, (n, k), facts)
    blocks = [
        _Block(source, first, min(first + _ROWS_AT_ONCE, n), k)
        for first in range(0, n, _ROWS_AT_ONCE)
    ]
    todo = [block for block, is_done in zip(blocks, done, strict=True) if not is_done]
    meter = Meter(n, at_step(progress, "searching"))
    meter.advance(n - sum(block.stop - block.first for block in todo))
    path = rows.store.path.resolve()
    saved, unsaved = time.monotonic(), []
    with executor_for(
        cluster=cluster if todo else None, folders=(path,), witness=path / MANIFEST
    ) as executor:
        for place, (ids, distances) in executor.each(_find, todo, memory_bytes=_TASK_BYTES):
            block = todo[place]
            table.ids[block.first : block.stop] = ids
            table.distances[block.first : block.stop] = distances
            unsaved.append(block.first // _ROWS_AT_ONCE)
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                _save(table, done, unsaved)
                saved, unsaved = time.monotonic(), []
            meter.advance(block.stop - block.first)
    return table


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows, by place among the rows of the graph, whose nearest rows are wanted."""

    source: Reopened[GraphRows]
    first: int
    stop: int
    k: int


def _find(block: _Block) -> Neighbours:
    rows = block.source.get()
    return rows.nearest(rows.ids[block.first : block.stop], block.k)


def _open_same(collection: Path, checksum: str, on: str, use_codes: bool) -> GraphRows:
    store = Store(collection)
    if store.checksum != checksum:
        raise Mismatch(f"rows of {collection} have changed meanwhile: run the same command again")
    rows = GraphRows(store, open_space(store, on), collection)
    if not use_codes:
        rows.codes = None
    return rows


def _kept(
    folder: Path, shape: tuple[int, int], plan: dict[str, Any]
) -> tuple[ExactTable, NDArray[np.uint8]]:
    """Return the table in a folder, and a flag for each block of rows that is in it."""
    note = read_note(folder / _DONE)
    is_same = note is not None and note["plan"] == plan
    if not is_same:
        (folder / _DONE).unlink(missing_ok=True)  # it would vouch for arrays that are made again
    make = partial(map_array, mode="r+") if is_same else new_array
    ids = make(folder / "exact_ids", shape, np.int64)
    distances = make(folder / "exact_distances", shape, np.float64)
    done = make(folder / "exact_done", (-(-shape[0] // _ROWS_AT_ONCE),), np.uint8)
    if not is_same:
        write_note(folder / _DONE, {"plan": plan})
    return ExactTable(ids, distances), done


def _save(table: ExactTable, done: NDArray[np.uint8], blocks: Sequence[int]) -> None:
    """Flag blocks as found, after what was found is on the disk."""
    for array in (table.ids, table.distances):
        assert isinstance(array, np.memmap)
        array.flush()
    done[list(blocks)] = 1
    assert isinstance(done, np.memmap)
    done.flush()
