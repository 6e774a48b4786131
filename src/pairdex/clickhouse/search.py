"""Search a loaded table as in ClickHouse's tutorial; a filter that k rows satisfy returns k rows."""

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
    check_tables,
)
from pairdex.collection import Collection
from pairdex.exports.clickhouse import vector_column
from pairdex.knn.distance import cosine_distance
from pairdex.search import DEFAULT_K, Query, check_k, query_vector
from pairdex.store.store import Store, VectorField

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["Found", "Searcher", "search_table", "search_vectors"]

_COLUMNS = ("url", "caption", "NSFW", "similarity")

_BY_INDEX: dict[str, Any] = {}
_EXACTLY: dict[str, Any] = {"use_skip_indexes": 0}

# The index orders rows by rounded vectors, so this multiple of k is fetched and reranked exactly.
_CANDIDATES = 2
_MOST_BY_INDEX = 1000  # ClickHouse's `max_limit_for_vector_search_queries`; above it, no index


@dataclass(frozen=True)
class Found:
    """Hits nearest first: `id`, `distance`, `similarity`, columns; and whether an index was used."""

    table: pa.Table
    by_index: bool


class Searcher:
    """A loaded table to search, on one server or on several shards.

    The table finds candidates; the collection's own vectors give their distances in float64. Rows
    removed from the collection since it was loaded are left out.
    """

    def __init__(
        self,
        clients: list[Client],
        place: Place,
        store: Store,
        *,
        table: str,
        on: VectorField,
        columns: bool = False,
    ) -> None:
        check_tables(clients, place, store, table)
        self._clients, self._place, self._table = clients, place, table
        self._vectors, self._live = store.vectors(on), store.allowed()
        distance = f"cosineDistance({vector_column(on)}, {{target:Array(Float32)}}) AS distance"
        shown = ", ".join(["id", distance, *(_COLUMNS if columns else ())])
        # The tutorial's statement, with the id; every value is bound.
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

        With a filter, or `exact`, all matching rows are compared: the index returns too few rows
        under a filter.
        """
        settings = self._settings(where, exact=exact)
        limit = k if settings else _candidates(k)
        rows = self._ask(vector, limit, settings)
        while len(rows.live) < k and (not settings or rows.found == limit):
            settings = settings or _EXACTLY
            limit *= 2
            rows = self._ask(vector, limit, settings)
        return rows.live[:k]

    def uses_index(
        self, vector: NDArray[np.float32], k: int, *, where: str | None = None, exact: bool = False
    ) -> bool:
        """Return whether every server uses its index for this search."""
        settings = self._settings(where, exact=exact)
        plans = [self._plan(shard, vector, k, settings) for shard in range(len(self._clients))]
        return all(any("vector_similarity" in line for line in plan) for plan in plans)

    def plan(self, vector: NDArray[np.float32], k: int) -> list[str]:
        """Return the query plan of the first server, by `EXPLAIN indexes = 1`."""
        return self._plan(0, vector, k, self._settings(None, exact=False))

    def _plan(
        self, shard: int, vector: NDArray[np.float32], k: int, settings: dict[str, Any]
    ) -> list[str]:
        limit = k if settings else _candidates(k)
        target = _Target(vector.tolist(), limit, settings)
        rows = self._run(shard, f"EXPLAIN indexes = 1 {self._sql}", target)
        return [str(line) for (line,) in rows]

    def _settings(self, where: str | None, *, exact: bool) -> dict[str, Any]:
        if where is not None:
            # A setting is parsed as one expression; in the statement the filter could end the
            # statement.
            text = where.replace("\\", "\\\\").replace("'", "\\'")
            return _EXACTLY | {"additional_table_filters": f"{{'{self._table}': '{text}'}}"}
        return _EXACTLY if exact else _BY_INDEX

    def _ask(self, vector: NDArray[np.float32], limit: int, settings: dict[str, Any]) -> _Rows:
        """Return the candidates of all servers with exact distances, nearest first."""
        target = _Target(vector.tolist(), limit, settings)
        rows: list[tuple[Any, ...]] = []
        for shard in range(len(self._clients)):
            rows += self._run(shard, self._sql, target)
        named = sorted(rows, key=lambda row: (row[1], row[0]))[:limit]
        live = [row for row in named if self._live is None or self._live[row[0]]]
        ids = np.array([row[0] for row in live], np.int64)
        true = cosine_distance(self._vectors[ids], vector) if len(ids) else np.empty(0)
        order = np.lexsort((ids, true))
        return _Rows(len(named), [(live[i][0], float(true[i]), *live[i][2:]) for i in order])

    def _run(self, shard: int, sql: str, target: _Target) -> list[tuple[Any, ...]]:
        client = self._clients[shard]
        known = {n: v for n, v in target.settings.items() if n in client.server_settings}
        parameters = {"target": target.vector, "k": target.k}
        with explained(self._place.name_of(shard), user=self._place.user):
            found = client.query(sql, parameters=parameters, settings=known).result_rows
        return [tuple(row) for row in found]


@dataclass(frozen=True)
class _Rows:
    """The number of candidates, and those that are not removed."""

    found: int
    live: list[tuple[Any, ...]]


def _candidates(k: int) -> int:
    return max(k, min(_CANDIDATES * k, _MOST_BY_INDEX))


@dataclass(frozen=True)
class _Target:
    """The bound parameters of a statement, and its settings."""

    vector: list[float]
    k: int
    settings: dict[str, Any]


def search_table(
    collection: Collection,
    place: Place,
    query: Query,
    *,
    table: str = DEFAULT_TABLE,
    on: VectorField = "image",
    k: int = DEFAULT_K,
    where: str | None = None,
    exact: bool = False,
) -> Found:
    """Search a loaded table for the rows nearest to a text, a picture, a row or a vector.

    Parameters
    ----------
    where
        A ClickHouse condition over the table's columns; finds k rows if k rows satisfy it.
    exact
        Ignore the index; search exactly.

    Raises
    ------
    PairdexError
        The table does not exist or holds another collection; the condition is invalid; the engine
        is
        down.
    """
    check_k(k)
    store = Store(Path(collection.path))
    store.check_cosine("a search in ClickHouse")
    vector = query_vector(store, query, collection.encoder if query.needs_model else None, on)
    with connected(place) as clients:
        searcher = Searcher(clients, place, store, table=table, on=on, columns=True)
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
    on: VectorField = "image",
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
    store.check_cosine("a search in ClickHouse")
    queries = [query_vector(store, Query(vector=vector), None, on) for vector in vectors]
    ids = np.full((len(vectors), k), -1, np.int64)
    distances = np.full((len(vectors), k), np.inf, np.float32)
    with connected(place) as clients:
        searcher = Searcher(clients, place, store, table=table, on=on)
        for number, query in enumerate(queries):
            rows = searcher.nearest(query, k, where=where, exact=exact)
            ids[number, : len(rows)] = [row[0] for row in rows]
            distances[number, : len(rows)] = [row[1] for row in rows]
    return ids, distances


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
