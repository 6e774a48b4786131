"""The k nearest rows of every row, approximately, until a sample of the rows reaches the recall asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.files.mapped_arrays import new_array
from pairdex.join.coded_rows import CodedRows

__all__ = ["GraphTable", "build_graph", "graph_lists"]

_ROWS_PER_LIST = 250
_NO_SLOT = np.uint32(0xFFFFFFFF)
# Lists that a row is compared with and rows that the small codes leave, then how often to refine.
_PASSES = (((8, 48), 2), ((32, 64), 1), ((128, 128), 2), ((1024, 256), 2))


def graph_lists(rows: int) -> int:
    """Return how many lists the rows of a graph are divided into."""
    return max(1, -(-rows // _ROWS_PER_LIST))


@dataclass(frozen=True)
class GraphTable:
    """The graph of the rows of a join.

    Attributes
    ----------
    slots
        (n, k) uint32, nearest first: the slots of each slot's neighbours, `_NO_SLOT` for none.
    distances
        (n, k) float32, 1 - cos; infinity for none.
    recall
        Measured after the last pass.
    passes
        What was done, such as "lists 8", "refine".
    """

    rows: CodedRows
    slots: NDArray[np.uint32]
    distances: NDArray[np.float32]
    recall: float
    passes: tuple[str, ...]

    def neighbours(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids (m, k), -1 for none, and distances of the neighbours of some slots."""
        found = np.asarray(self.slots[slots])
        is_none = found == _NO_SLOT
        ids = self.rows.ids[np.where(is_none, 0, found)].astype(np.int64)
        return np.where(is_none, -1, ids), np.asarray(self.distances[slots])


def build_graph(
    rows: CodedRows,
    k: int,
    folder: Path,
    *,
    recall: float,
    measure: Callable[[GraphTable], float],
    threads: int,
    on_pass: Callable[[int, int], None] | None = None,
) -> GraphTable:
    """Build the graph, pass after pass, until `measure` gives the recall or no pass is left.

    Parameters
    ----------
    folder
        For the tables, n x k x 8 bytes.
    on_pass
        Called with the passes done and the most there are.

    Raises
    ------
    WriteFailed
        The disk is full.
    """
    slots = new_array(folder / "graph_slots", (len(rows), k), np.uint32)
    distances = new_array(folder / "graph_distances", (len(rows), k), np.float32)
    slots[:], distances[:] = _NO_SLOT, np.inf
    done: list[str] = []
    steps = list(_steps(rows, slots, distances, threads))
    reached = 0.0
    for number, (name, work) in enumerate(steps, start=1):
        work()
        done.append(name)
        if on_pass:
            on_pass(number, len(steps))
        reached = measure(GraphTable(rows, slots, distances, 0.0, tuple(done)))
        if reached >= recall:
            break
    return GraphTable(rows, slots, distances, reached, tuple(done))


def _steps(
    rows: CodedRows, slots: NDArray[np.uint32], distances: NDArray[np.float32], threads: int
) -> Iterator[tuple[str, Callable[[], Any]]]:
    def by_lists(probes: int, candidates: int) -> None:
        rows.native.graph_by_lists(
            slots,
            distances,
            probes=probes,
            candidates=max(candidates, 3 * slots.shape[1]),
            threads=threads,
            kernel="",
        )

    def refine() -> None:
        rows.native.refine_graph(slots, distances, threads=threads, kernel="")

    for (probes, candidates), refinements in _PASSES:
        yield f"lists {probes}", lambda p=probes, c=candidates: by_lists(p, c)  # type: ignore[misc]
        for _ in range(refinements):
            yield "refine", refine
