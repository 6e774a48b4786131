"""Searching a loaded table as ClickHouse's tutorial does, with every value bound and k rows if k qualify."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.clickhouse.connection import Place, connected, explained
from pairdex.clickhouse.schema import (
    DEFAULT_TABLE,
    Shard,
    check_name,
    check_owner,
    vector_column,
)
from pairdex.collection import Collection
from pairdex.search import DEFAULT_K, Query, check_k, query_vector
from pairdex.store.store import Kind, Store

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["Found", "Searcher", "search_table", "search_vectors"]

_COLUMNS = ("url", "caption", "NSFW", "similarity")

# The index gives candidates by rounded vectors; these order them by the stored ones, and take more of
# them than are asked for, so that rounding loses none.
_BY_INDEX = {"vector_search_with_rescoring": 1, "vector_search_index_fetch_multiplier": 2}
_EXACTLY = {"use_skip_indexes": 0}


@dataclass(frozen=True)
class Found:
    """Hits nearest first: `id`, `distance`, `similarity`, then columns; and whether an index found them."""

    table: pa.Table
    by_index: bool


class Searcher:
    """A loaded table to ask for neighbours, on one server or on several that share its rows."""

    def __init__(
        self, clients: list[Client], place: Place, *, table: str, on: Kind, columns: bool = False
    ) -> None:
        self._clients, self._place, self._table = clients, place, table
        distance = f"cosineDistance({vector_column(on)}, {{target:Array(Float32)}}) AS distance"
        shown = ", ".join(["id", distance, *(_COLUMNS if columns else ())])
        # The tutorial's statement, with the id; no value stands in its text.
        self._sql = f"SELECT {shown} FROM {table} ORDER BY distance LIMIT {{k:UInt32}}"  # noqa: S608

    def nearest(
        self,
        vector: NDArray[np.float32],
        k: int,
        *,
        where: str | None = None,
        exact: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Return the k rows nearest to a vector: id, distance, columns; equal distances by smaller id.

        With a filter, or `exact`, the vectors of all rows that pass are read. The index's own ways
        with filters give fewer rows than qualify.
        """
        settings = self._settings(where, exact=exact)
        rows = self._ask(vector, k, settings)
        if len(rows) < k and not settings.keys() >= _EXACTLY.keys():
            rows = self._ask(vector, k, _EXACTLY)  # removed rows may have been among the candidates
        return rows

    def uses_index(
        self, vector: NDArray[np.float32], k: int, *, where: str | None = None, exact: bool = False
    ) -> bool:
        """Say whether the engine takes the index for such a search, by its own `EXPLAIN indexes = 1`."""
        target = _Target(vector.tolist(), k, self._settings(where, exact=exact))
        plans = [
            self._run(shard, f"EXPLAIN indexes = 1 {self._sql}", target)
            for shard in range(len(self._clients))
        ]
        return all(any("vector_similarity" in str(line) for (line,) in plan) for plan in plans)

    def _settings(self, where: str | None, *, exact: bool) -> dict[str, Any]:
        if where is not None:
            # As a setting it is read as one expression; in the statement it could end that.
            text = where.replace("\\", "\\\\").replace("'", "\\'")
            return _EXACTLY | {"additional_table_filters": f"{{'{self._table}': '{text}'}}"}
        return _EXACTLY if exact else _BY_INDEX

    def _ask(
        self, vector: NDArray[np.float32], k: int, settings: dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        target = _Target(vector.tolist(), k, settings)
        rows: list[tuple[Any, ...]] = []
        for shard in range(len(self._clients)):
            rows += self._run(shard, self._sql, target)
        return sorted(rows, key=lambda row: (row[1], row[0]))[:k]

    def _run(self, shard: int, sql: str, target: _Target) -> list[tuple[Any, ...]]:
        client = self._clients[shard]
        known = {n: v for n, v in target.settings.items() if n in client.server_settings}
        parameters = {"target": target.vector, "k": target.k}
        with explained(self._place.name_of(shard), user=self._place.user):
            found = client.query(sql, parameters=parameters, settings=known).result_rows
        return [tuple(row) for row in found]


@dataclass(frozen=True)
class _Target:
    """What a statement is bound to, and the settings it runs under."""

    vector: list[float]
    k: int
    settings: dict[str, Any]


def search_table(
    collection: Collection,
    place: Place,
    query: Query,
    *,
    table: str = DEFAULT_TABLE,
    on: Kind = "image",
    k: int = DEFAULT_K,
    where: str | None = None,
    exact: bool = False,
) -> Found:
    """Search a loaded table for the rows nearest to a text, a picture, a row or a vector.

    Parameters
    ----------
    where
        A condition of ClickHouse over the table's columns; k rows are found if k rows satisfy it.
    exact
        Compare with all rows, whatever index there is.

    Raises
    ------
    PairdexError
        No such table, another collection's; a condition that is none; the engine is down.
    """
    check_k(k)
    store = Store(Path(collection.path))
    vector = query_vector(store, query, collection.encoder if query.needs_model else None, on)
    with connected(place) as clients:
        _check(clients, place, store, table)
        searcher = Searcher(clients, place, table=table, on=on, columns=True)
        asked = k if query.like is None else k + 1
        rows = searcher.nearest(vector, asked, where=where, exact=exact)
        by_index = searcher.uses_index(vector, asked, where=where, exact=exact)
    return Found(_table([row for row in rows if row[0] != query.like][:k]), by_index)


def search_vectors(
    collection: Collection,
    place: Place,
    vectors: NDArray[np.float32],
    *,
    table: str = DEFAULT_TABLE,
    on: Kind = "image",
    k: int = DEFAULT_K,
    where: str | None = None,
    exact: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Search a loaded table for the rows nearest to each of many vectors (n, dim).

    Returns
    -------
    ids : NDArray[np.int64], shape (n, k)
        -1 where fewer than k rows qualify.
    distances : NDArray[np.float32], shape (n, k)
        Infinity beside an id of -1.
    """
    check_k(k)
    store = Store(Path(collection.path))
    queries = [query_vector(store, Query(vector=vector), None, on) for vector in vectors]
    ids = np.full((len(vectors), k), -1, np.int64)
    distances = np.full((len(vectors), k), np.inf, np.float32)
    with connected(place) as clients:
        _check(clients, place, store, table)
        searcher = Searcher(clients, place, table=table, on=on)
        for number, query in enumerate(queries):
            rows = searcher.nearest(query, k, where=where, exact=exact)
            ids[number, : len(rows)] = [row[0] for row in rows]
            distances[number, : len(rows)] = [row[1] for row in rows]
    return ids, distances


def _check(clients: list[Client], place: Place, store: Store, table: str) -> None:
    check_name("table", table)
    for number, client in enumerate(clients):
        check_owner(client, table, store, Shard(number, len(clients)), place.name_of(number))


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * (2 + len(_COLUMNS))
    distances = pa.array(columns[1], pa.float64())
    url, caption, tag, similarity = (pa.array(c) for c in columns[2:])
    return pa.table(
        {
            "id": pa.array(columns[0], pa.int64()),
            "distance": distances,
            "similarity": pa.array(1.0 - np.asarray(distances), pa.float64()),
            "url": url.cast(pa.string()),
            "caption": caption.cast(pa.string()),
            "NSFW": tag.cast(pa.string()),
            "pair_similarity": similarity.cast(pa.float32()),
        }
    )
