"""Load a collection into ClickHouse block by block; a repeated load resumes without duplicates."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pairdex.clickhouse.blocks import Rows
from pairdex.clickhouse.columns import quoted
from pairdex.clickhouse.connection import Place, connected, explained
from pairdex.clickhouse.schema import (
    BLOCK_ROWS,
    DEFAULT_DTYPE,
    DEFAULT_TABLE,
    Dtype,
    Shard,
    Table,
    have_table,
    table_of,
)
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.store import Store

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["LoadReport", "load_collection"]


_DELETE_IDS = 20_000  # ids per DELETE statement; each statement is a mutation of the table
_ONE_PART = {
    "max_insert_threads": 1,
    "max_insert_block_size": BLOCK_ROWS,
    "min_insert_block_size_rows": BLOCK_ROWS,
    "min_insert_block_size_bytes": 0,
    "async_insert": 0,
    "distributed_foreground_insert": 1,
    # Without this, ClickHouse would drop a deleted block that is inserted again.
    "insert_deduplicate": 0,
}


@dataclass(frozen=True)
class LoadReport:
    """The result of a load: rows of the table, rows inserted and deleted, and the duration."""

    table: str
    rows: int
    inserted: int
    deleted: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows inserted per second."""
        return self.inserted / self.seconds if self.seconds else 0.0


def load_collection(
    collection: str | Path,
    place: Place,
    *,
    table: str = DEFAULT_TABLE,
    dtype: Dtype = DEFAULT_DTYPE,
    columns: tuple[str, ...] = (),
    cluster: str | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Synchronise a table with the collection: insert missing rows, delete removed rows.

    Parameters
    ----------
    place
        An embedded database or servers; the rows are divided among several urls.
    table
        Name of the table; it is created if it does not exist.
    dtype
        Type of the stored vectors; float32 stores them without loss.
    columns
        Metadata columns to store besides the tutorial's.
    cluster
        Create a table on every server of this cluster, and a Distributed table over them.

    Raises
    ------
    PairdexError
        The engine is down, full, or refuses; the table has other columns or rows. Loaded rows
        stay, and the same call resumes after them.
    """
    store = Store(Path(collection))
    store.check_cosine("ClickHouse's index")
    wanted = table_of(store, table, dtype=dtype, extra=columns, cluster=cluster)
    started = time.perf_counter()
    with connected(place, create=True) as clients:
        loads = [
            _Load(client, store, wanted, Shard(number, len(clients)), place)
            for number, client in enumerate(clients)
        ]
        for load in loads:
            have_table(load.client, wanted, store, load.shard, place)
        meter = Meter(store.live_rows, at_step(progress, "loading"))
        for load in loads:
            load.run(meter)
    return LoadReport(
        table=table,
        rows=store.live_rows,
        inserted=sum(load.inserted for load in loads),
        deleted=sum(load.deleted for load in loads),
        seconds=time.perf_counter() - started,
    )


class _Load:
    """One server's share of a load."""

    def __init__(
        self, client: Client, store: Store, table: Table, shard: Shard, place: Place
    ) -> None:
        self.client, self.shard = client, shard
        self.where = place.name_of(shard.number)
        self.inserted = self.deleted = 0
        self._store, self._table, self._place = store, table, place
        self._removed = store.removed  # a snapshot; later removals are left to the next load
        self._rows = Rows(store, table)

    def run(self, meter: Meter) -> None:
        there = self._there()
        self._delete_removed(there)
        for block, ids in self._blocks():
            if there.get(block) != _summary(ids):
                self._insert(block, ids, replace=block in there)
            meter.advance(len(ids))

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield the number of each block of this shard, and the ids that it must contain."""
        for block, first in enumerate(range(0, self._store.rows, BLOCK_ROWS)):
            if not self.shard.holds(block):
                continue
            ids = np.arange(first, min(first + BLOCK_ROWS, self._store.rows), dtype=np.int64)
            yield block, ids if self._removed is None else ids[~self._removed[ids]]

    def _there(self) -> dict[int, _Summary]:
        """Return the summary of each block that has rows in the table."""
        with explained(self.where):
            rows = self.client.query(
                f"SELECT intDiv(id, {BLOCK_ROWS}) AS block, count(), uniqExact(id), sum(id), "  # noqa: S608 - a checked name
                f"groupBitXor(id) FROM {self._table.name} GROUP BY block"
            ).result_rows
        return {int(block): tuple(map(int, found)) for block, *found in rows}  # type: ignore[misc]

    def _delete_removed(self, there: dict[int, _Summary]) -> None:
        """Delete rows that are no longer in the collection, and update `there`."""
        wrong: list[NDArray[np.int64]] = []
        for block, ids in self._blocks():
            if block not in there or there[block] == _summary(ids):
                continue
            found = self._ids(block)
            if len(np.unique(found)) == len(found) and np.isin(ids, found).all():
                wrong.append(np.setdiff1d(found, ids))
                there[block] = _summary(ids)
        ids = np.concatenate([np.empty(0, np.int64), *wrong])
        for start in range(0, len(ids), _DELETE_IDS):
            self._delete(
                "id IN {ids:Array(Int64)}", {"ids": ids[start : start + _DELETE_IDS].tolist()}
            )
        self.deleted += len(ids)

    def _ids(self, block: int) -> NDArray[np.int64]:
        with explained(self.where):
            rows = self.client.query(
                f"SELECT id FROM {self._table.name} WHERE id >= {{a:Int64}} AND id < {{b:Int64}}",  # noqa: S608 - a checked name
                parameters={"a": block * BLOCK_ROWS, "b": (block + 1) * BLOCK_ROWS},
            ).result_rows
        return np.array([row[0] for row in rows], np.int64)

    def _insert(self, block: int, ids: NDArray[np.int64], *, replace: bool) -> None:
        if replace:  # the block is incomplete, or has duplicate rows
            bounds = {"a": block * BLOCK_ROWS, "b": (block + 1) * BLOCK_ROWS}
            self._delete("id >= {a:Int64} AND id < {b:Int64}", bounds)
        if not len(ids):
            return
        with explained(self.where):
            self.client.raw_insert(
                self._table.name,
                column_names=[quoted(name) for name, _ in self._table.columns],
                insert_block=self._rows.stream(ids),  # type: ignore[arg-type]
                settings=_ONE_PART,
                fmt="ArrowStream",
            )
        self.inserted += len(ids)
        if self._place.path is not None:  # the embedded engine keeps freed memory until purged
            self.client.command("SYSTEM JEMALLOC PURGE")

    def _delete(self, condition: str, parameters: Mapping[str, object]) -> None:
        with explained(self.where):
            self.client.command(
                f"DELETE FROM {self._table.local}{self._table.on_cluster} WHERE {condition}",  # noqa: S608 - a checked name
                parameters=dict(parameters),
                settings={"lightweight_deletes_sync": 2},
            )


_Summary = tuple[int, int, int, int]


def _summary(ids: NDArray[np.int64]) -> _Summary:
    """Return a fingerprint of a block of ids: count, distinct count, sum, exclusive or."""
    return len(ids), len(ids), int(ids.sum()), int(np.bitwise_xor.reduce(ids))
