"""Gold standards of all rows against each other: the exact k nearest other rows of every row."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.files import Projection
from pairdex.errors import Mismatch
from pairdex.files import atomic, lock
from pairdex.files.result_files import writing_neighbours
from pairdex.progress import Progress
from pairdex.reference.graph_rows import ExactTable, GraphRows, find_exactly
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__

__all__ = ["SelfGold", "write_self_gold"]

_WRITTEN_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class SelfGold:
    """What was found: counts of rows as in `GoldReport`."""

    n: int
    ties: int
    near_duplicates: int
    seconds: float


def write_self_gold(
    store: Store,
    space: VectorField | Projection,
    out: Path,
    k: int,
    *,
    near: float,
    attributes: dict[str, Any],
    use_codes: bool,
    cluster: str | None = None,
    progress: Progress | None,
) -> SelfGold:
    """Write the exact k nearest other rows of every row; a killed call is resumed by the same one.

    Parameters
    ----------
    near
        The distance below which rows count as near-duplicates.
    attributes
        Attributes of the file.
    cluster
        The address of a Ray cluster whose nodes search, or `auto`.

    Raises
    ------
    Mismatch, WriteFailed
        Rows were removed meanwhile; the disk is full.
    """
    started = time.perf_counter()
    checksum = store.checksum
    with _scratch(out) as folder:
        rows = GraphRows(store, space, folder)
        width = min(k + 1, len(rows.ids) - 1)  # one more shows ties
        facts = {"checksum": checksum, "k": width, "on": rows.on, "version": __version__}
        if use_codes:
            rows.make_codes(progress)
        else:
            rows.codes = None
        table = find_exactly(rows, width, facts, progress, cluster=cluster)
        if store.checksum != checksum:
            raise Mismatch(
                f"rows were removed from {store.path} meanwhile: run the same command again"
            )
        counts = _counts(table, k, near)
        with writing_neighbours(
            out, (store.rows, k), attributes={**attributes, **counts}
        ) as writer:
            for first, ids, distances in _blocks(rows, table, k):
                writer.write(first, ids, distances)
        shutil.rmtree(folder)
    return SelfGold(len(rows.ids), seconds=time.perf_counter() - started, **counts)


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    folder = out.with_name(f".{out.name}.gold")
    atomic.make_folder(folder)
    with lock.writing(folder):
        yield folder


def _counts(table: ExactTable, k: int, near: float) -> dict[str, int]:
    ties = duplicates = 0
    for first in range(0, len(table.ids), _WRITTEN_AT_ONCE):
        distances = table.distances[first : first + _WRITTEN_AT_ONCE]
        if distances.shape[1] > k:
            ties += int(np.count_nonzero(distances[:, k - 1] == distances[:, k]))
        duplicates += int(np.count_nonzero(distances[:, 0] < near))
    return {"ties": ties, "near_duplicates": duplicates}


def _blocks(
    rows: GraphRows, table: ExactTable, k: int
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Yield the first id, ids (m, k) and distances of all rows; -1 and infinity for removed ones."""
    n = rows.store.rows
    places = np.full(n, -1, np.int64)
    places[rows.ids] = np.arange(len(rows.ids))
    for first in range(0, n, _WRITTEN_AT_ONCE):
        here = places[first : first + _WRITTEN_AT_ONCE]
        ids = np.full((len(here), k), -1, np.int64)
        distances = np.full((len(here), k), np.inf)
        has = here >= 0
        ids[has], distances[has] = table.ids[here[has], :k], table.distances[here[has], :k]
        yield first, ids, distances
