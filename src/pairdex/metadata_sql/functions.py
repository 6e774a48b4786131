"""SQL search functions: the table function `nearest` and the scalar function `distance`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex import search
from pairdex.errors import PairdexError
from pairdex.search import DEFAULT_K, Finder, Query, SearchOptions
from pairdex.store.store import Store, VectorField

__all__ = ["Functions"]

_TEXTS_KEPT = 64  # cached text vectors, so that a text is not encoded again for each batch

# Macros give the arguments names and defaults, and turn a list of rows into a table.
_MACROS = f"""
CREATE MACRO nearest(query, k := {DEFAULT_K}, kind := 'image', filter := '') AS TABLE
    SELECT unnest(_nearest(query::VARCHAR, k::BIGINT, kind::VARCHAR, filter::VARCHAR), max_depth := 2);
CREATE MACRO distance(id, query, kind := 'image') AS
    _distance(id::BIGINT, query::VARCHAR, kind::VARCHAR);
"""


class Functions:
    """The functions over one collection; `error` keeps an exception raised inside one."""

    def __init__(self, finder: Finder, store: Store) -> None:
        self.error: PairdexError | None = None
        self._finder, self._store = finder, store
        self._live = store.allowed()
        self._encoding = Lock()  # DuckDB calls this from several threads
        self._vector = lru_cache(_TEXTS_KEPT)(self._encoded)
        self._vectors = lru_cache(finder.store.vectors)

    def define(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Register the functions with a connection."""
        hits = search.describe(self._store, np.empty(0, np.int64), np.empty(0, np.float64))
        connection.register("_hits", hits)
        fields = connection.execute("DESCRIBE _hits").fetchall()
        connection.unregister("_hits")
        kinds = ", ".join(
            '"{}" {}'.format(name.replace('"', '""'), kind) for name, kind, *_ in fields
        )
        self._hits_type = pa.list_(pa.struct(list(hits.schema)))
        text, number = "VARCHAR", "BIGINT"
        connection.create_function(  # type: ignore[call-overload]
            "_nearest",
            self._nearest,
            [text, number, text, text],
            f"STRUCT({kinds})[]",
            type="arrow",
        )
        connection.create_function(  # type: ignore[call-overload]
            "_distance",
            self._distance,
            [number, text, text],
            "DOUBLE",
            type="arrow",
            null_handling="special",
        )
        connection.execute(_MACROS)

    def _nearest(
        self,
        texts: pa.ChunkedArray,
        ks: pa.ChunkedArray,
        kinds: pa.ChunkedArray,
        filters: pa.ChunkedArray,
    ) -> pa.Array:
        """Return the hits for each row of arguments as a list of structs."""
        try:
            found = [self._hits(*row) for row in _rows(texts, ks, kinds, filters)]
        except PairdexError as error:
            self.error = error
            raise
        ends = np.cumsum([0, *map(len, found)]).astype(np.int32)
        hits = pa.concat_tables(found).combine_chunks()
        columns = [column.combine_chunks() for column in hits.columns]
        structs = pa.StructArray.from_arrays(columns, fields=list(hits.schema))
        return pa.ListArray.from_arrays(pa.array(ends), structs).cast(self._hits_type)

    def _hits(self, query: str, k: int, kind: VectorField, where: str) -> pa.Table:
        options = SearchOptions(k=k, on=kind, where=where or None, hybrid=False)
        return self._finder.find(Query(text=query), options).table

    def _distance(
        self, ids: pa.ChunkedArray, texts: pa.ChunkedArray, kinds: pa.ChunkedArray
    ) -> pa.Array:
        """Return the distance between each row and its text; NULL for an unknown or NULL id."""
        asked = np.asarray(ids.fill_null(-1), np.int64)
        known = (asked >= 0) & (asked < self._store.rows) & np.asarray(texts.is_valid())
        if self._live is not None:
            known[known] = self._live[asked[known]]
        distances = np.full(len(asked), np.nan)
        by_query: dict[tuple[str, VectorField], list[int]] = {}
        for row, pair in enumerate(_rows(texts, kinds)):
            if known[row]:
                by_query.setdefault(pair, []).append(row)
        try:
            for (text, kind), rows in by_query.items():
                distances[rows] = self._distances_to(text, kind, asked[rows])
        except PairdexError as error:
            self.error = error
            raise
        return pa.array(distances, mask=~known)

    def _distances_to(
        self, text: str, kind: VectorField, ids: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        vectors = self._vectors(kind)[ids].astype(np.float64)
        products = np.asarray(vectors @ self._vector(text))
        if self._store.metric == "ip":
            return np.asarray(0.0 - products)
        return np.asarray(np.clip(1.0 - products / np.linalg.norm(vectors, axis=1), 0.0, 2.0))

    def _encoded(self, text: str) -> NDArray[np.float64]:
        with self._encoding:
            vector: NDArray[np.float64] = self._finder.encoder.encode_texts([text])[0].astype(
                np.float64
            )
            return vector


def _rows(*arguments: pa.ChunkedArray) -> Iterator[tuple[Any, ...]]:
    return zip(*(argument.to_pylist() for argument in arguments), strict=True)
