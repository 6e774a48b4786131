"""What a graph of nearest rows says of each row: how far it is from the others, and how many have it as neighbour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex.files import atomic

__all__ = ["GraphBlock", "Hub", "Outlier", "RowFacts", "write_row_facts"]

GraphBlock = tuple[int, NDArray[np.int64], NDArray[np.float32]]
"""The first id, ids (m, k), -1 for none, and distances of some rows."""

_NAMED = 10  # rows of a report
_ROWS_AT_ONCE = 1 << 20
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("nearest", pa.float32(), nullable=False),
        pa.field("farthest", pa.float32(), nullable=False),
        pa.field("neighbour_of", pa.uint32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Outlier:
    """A row and its distance to the row nearest to it."""

    id: int
    distance: float


@dataclass(frozen=True)
class Hub:
    """A row and how many rows have it among their neighbours."""

    id: int
    neighbour_of: int


class RowFacts:
    """The facts of each row, 12 bytes, gathered while the blocks of a graph go by.

    Attributes
    ----------
    nearest, farthest
        (rows,) float32: the distance to the first and to the last neighbour; infinity for none.
    neighbour_of
        (rows,) uint32: how many rows have a row among their neighbours.
    """

    def __init__(self, rows: int) -> None:
        self.nearest: NDArray[np.float32] = np.full(rows, np.inf, np.float32)
        self.farthest: NDArray[np.float32] = np.full(rows, np.inf, np.float32)
        self.neighbour_of: NDArray[np.uint32] = np.zeros(rows, np.uint32)

    def watch(self, blocks: Iterator[GraphBlock]) -> Iterator[GraphBlock]:
        """Yield the blocks unchanged, and note what they say."""
        for first, ids, distances in blocks:
            here = slice(first, first + len(ids))
            self.nearest[here], self.farthest[here] = distances[:, 0], distances[:, -1]
            found, times = np.unique(ids[ids >= 0], return_counts=True)
            self.neighbour_of[found] += times.astype(np.uint32)
            yield first, ids, distances

    @property
    def outliers(self) -> tuple[Outlier, ...]:
        """The ten rows that are farthest from all others, the farthest first."""
        ids = np.flatnonzero(np.isfinite(self.nearest))
        ids = ids[np.lexsort((ids, -self.nearest[ids]))[:_NAMED]]
        return tuple(Outlier(int(row), float(self.nearest[row])) for row in ids)

    @property
    def hubs(self) -> tuple[Hub, ...]:
        """The ten rows that most rows have among their neighbours, the largest number first."""
        ids = np.argsort(-self.neighbour_of.astype(np.int64), kind="stable")[:_NAMED]
        return tuple(Hub(int(row), int(self.neighbour_of[row])) for row in ids)


def write_row_facts(out: Path, facts: RowFacts, about: dict[str, Any]) -> None:
    """Write the facts of all rows that have neighbours to a Parquet file, by ascending id.

    `about` becomes the value `pairdex` of the file's metadata, as JSON.

    Raises
    ------
    WriteFailed
        It cannot be written.
    """
    schema = _SCHEMA.with_metadata({"pairdex": json.dumps(about)})
    with atomic.replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for first in range(0, len(facts.nearest), _ROWS_AT_ONCE):
            here = slice(first, first + _ROWS_AT_ONCE)
            has = np.flatnonzero(np.isfinite(facts.nearest[here]))
            columns = (facts.nearest, facts.farthest, facts.neighbour_of)
            arrays = [pa.array(first + has), *(pa.array(column[here][has]) for column in columns)]
            writer.write_table(pa.table(arrays, schema=schema))
