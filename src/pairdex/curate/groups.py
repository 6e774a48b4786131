"""Groups of near-duplicates: a kept row and those that were dropped for it, counted and written."""

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

from pairdex.curate.decisions import COPY, NEAR, Decisions
from pairdex.files import atomic

__all__ = ["Groups", "count_groups", "dropped_rows", "write_groups"]

_ROWS_AT_ONCE = 1 << 20

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("kept_id", pa.int64(), nullable=False),
        pa.field("distance", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Groups:
    """How many groups there are, and how many rows the largest has with its kept one."""

    count: int
    largest: int


def count_groups(decisions: Decisions) -> Groups:
    """Count the groups of finished decisions."""
    sizes = decisions.array("sizes", len(decisions.state), np.uint32)
    sizes[:] = 0
    for _, kept, _ in dropped_rows(decisions):
        np.add.at(sizes, kept, 1)
    return Groups(int(np.count_nonzero(sizes)), int(sizes.max()) + bool(sizes.any()))


def write_groups(out: Path, decisions: Decisions, facts: dict[str, Any]) -> None:
    """Write id, kept_id and distance of every dropped row to a Parquet file, by ascending id.

    `facts` become the value `pairdex` of the file's metadata, as JSON.

    Raises
    ------
    WriteFailed
        It cannot be written.
    """
    schema = _SCHEMA.with_metadata({"pairdex": json.dumps(facts)})
    with atomic.replacing(out) as file, pq.ParquetWriter(file, schema) as writer:
        for columns in dropped_rows(decisions):
            writer.write_table(pa.table([pa.array(column) for column in columns], schema=schema))


def dropped_rows(
    decisions: Decisions,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Yield ids, kept ids and distances of dropped rows, some at a time.

    A copy has what the first of its kind has: that one itself, or the row it was dropped for.
    """
    state = decisions.state
    for start in range(0, len(state), _ROWS_AT_ONCE):
        here = state[start : start + _ROWS_AT_ONCE]
        ids = start + np.flatnonzero((here == NEAR) | (here == COPY))
        is_copy = state[ids] == COPY
        nears = np.where(is_copy, decisions.of[ids], ids)
        is_near = state[nears] == NEAR
        kept = np.where(is_near, decisions.of[nears], nears)
        yield ids, kept, np.where(is_near, decisions.distance[nears], 0.0)
