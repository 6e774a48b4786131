"""Groups of near-duplicates in memory, for one threshold after the other over the same codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.curate.copies import Order
from pairdex.curate.decisions import Decisions
from pairdex.curate.groups import dropped_rows
from pairdex.curate.near_duplicates import decide
from pairdex.progress import Progress
from pairdex.store.vectors_view import VectorsView

__all__ = ["DuplicateGroups", "find_groups"]


@dataclass(frozen=True)
class DuplicateGroups:
    """The rows that `dedup` would drop, by the kept row that each is nearest to.

    Attributes
    ----------
    kept
        (g,) int64: the kept row of each group; the largest group first, equal ones by id.
    starts
        (g + 1,) int64: where the rows of each group begin in `ids`, and where the last one ends.
    ids, distances
        (n,) int64 and float64: the other rows of each group, the nearest to the kept one first.
    """

    kept: NDArray[np.int64]
    starts: NDArray[np.int64]
    ids: NDArray[np.int64]
    distances: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kept)

    def size(self, group: int) -> int:
        """Return how many rows a group has, the kept one included."""
        return int(self.starts[group + 1] - self.starts[group]) + 1

    def rows(
        self, group: int, first: int, end: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return ids and distances of some rows of a group; its row 0 is the kept one, at NaN."""
        start, stop = self.starts[group : group + 2]
        part = slice(max(start, start + first - 1), min(stop, start + max(0, end - 1)))
        ids, distances = self.ids[part], self.distances[part]
        if first == 0 and end > 0:
            ids = np.concatenate([self.kept[group : group + 1], ids])
            distances = np.concatenate([[np.nan], distances])
        return ids, distances

    def find(self, kept: int) -> int | None:
        """Return the number of the group whose kept row this is; None if there is none."""
        found = np.flatnonzero(self.kept == kept)
        return int(found[0]) if len(found) else None


def find_groups(
    vectors: VectorsView,
    order: Order,
    folder: Path,
    *,
    threshold: float,
    plan: dict[str, Any],
    threads: int,
    progress: Progress,
) -> DuplicateGroups:
    """Find the groups of rows visited in an order, as `dedup` does.

    Parameters
    ----------
    folder
        For codes and decisions, about 373 bytes a row, twice that while they are made.
    plan
        What the codes depend on; without the threshold. Calls with the same plan use the same codes.

    Raises
    ------
    PairdexError
        A damaged file; a full disk.
    """
    decisions = Decisions(folder, len(vectors), plan)
    if decisions.position is not None:
        decisions.save(0)  # copies and codes stay, what another threshold decided does not
    decide(vectors, order, decisions, threshold=threshold, threads=threads, progress=progress)
    found = list(dropped_rows(decisions))
    ids, kept, distances = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return _grouped(ids, kept, distances)


def _grouped(
    ids: NDArray[np.int64], kept: NDArray[np.int64], distances: NDArray[np.float64]
) -> DuplicateGroups:
    keepers, group, sizes = np.unique(kept, return_inverse=True, return_counts=True)
    by_size = np.argsort(-sizes, kind="stable")
    place = np.empty(len(by_size), np.int64)
    place[by_size] = np.arange(len(by_size))
    order = np.lexsort((ids, distances, place[group]))
    starts = np.concatenate([[0], np.cumsum(sizes[by_size])])
    return DuplicateGroups(keepers[by_size], starts, ids[order], distances[order])
