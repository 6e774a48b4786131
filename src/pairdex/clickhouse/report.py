"""Run the same queries in ClickHouse, with and without its index, and in pairdex."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pairdex.clickhouse.connection import Place, connected, explained
from pairdex.clickhouse.index import index_name
from pairdex.clickhouse.schema import DEFAULT_TABLE
from pairdex.clickhouse.search import Searcher
from pairdex.collection import Collection
from pairdex.derived.codes import codes_path
from pairdex.errors import EngineFailed, InvalidArgument
from pairdex.exports.clickhouse import vector_column
from pairdex.knn.distance import cosine_distance
from pairdex.progress import Progress
from pairdex.search import DEFAULT_K, check_k
from pairdex.store.store import Store, VectorField
from pairdex.store.vectors_view import VectorsView
from pairdex.wording import counted

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["DEFAULT_QUERIES", "Report", "Run", "compare"]

DEFAULT_QUERIES = 100
DEFAULT_SEED = 0

_WARM_UP = 3  # warm-up queries, not counted
_TOLERANCE = 1e-5  # of distances: ClickHouse uses float32 and may store rounded vectors


Ask = Callable[["NDArray[np.float32]"], "NDArray[np.int64]"]


@dataclass(frozen=True)
class Run:
    """One search method: its recall, the time of a query, the bytes it reads.

    `recall` is the share of the k found rows that are as near as the k-th nearest row, `bytes` the
    size of vectors, codes or index on disk.
    """

    name: str
    recall: float
    p50_seconds: float
    p95_seconds: float
    bytes: int


@dataclass(frozen=True)
class Report:
    """Runs of the same queries, one at a time, and ClickHouse's plan that names its index."""

    rows: int
    queries: int
    k: int
    on: VectorField
    runs: list[Run]
    plan: list[str]


def compare(
    collection: Collection,
    place: Place,
    *,
    table: str = DEFAULT_TABLE,
    on: VectorField = "image",
    k: int = DEFAULT_K,
    queries: NDArray[np.float32] | int = DEFAULT_QUERIES,
    seed: int = DEFAULT_SEED,
    progress: Progress | None = None,
) -> Report:
    """Run the same queries on the loaded table and on the collection.

    Parameters
    ----------
    queries
        Vectors (n, dim), or the number to draw from the collection. Image searches draw text
        vectors if the collection has them; other searches draw rows of the searched kind.

    Raises
    ------
    PairdexError
        The table does not exist, has no index, or holds another collection; the engine is down.
    """
    check_k(k)
    store = Store(Path(collection.path))
    vectors = _drawn(store, on, queries, seed) if isinstance(queries, int) else queries
    truth = collection.nearest(vectors, k, on=on, exact=True)
    with connected(place) as clients:
        searcher = Searcher(clients, place, store, table=table, on=on)
        if not searcher.uses_index(vectors[0], k):
            raise EngineFailed(
                f"ClickHouse at {place.name_of(0)} has no index of {table} that it uses for k = {k:,}: "
                f"build it with pairdex clickhouse load {store.path} --index …"
            )
        sizes = _Sizes(clients, place, table, on, store)
        test = _Test(vectors, truth.distances, store.vectors(on), progress)
        runs = [
            test.run(
                "ClickHouse brute force",
                lambda q: _ids(searcher.nearest(q, k, exact=True)),
                sizes.vectors(),
            ),
            test.run("ClickHouse index", lambda q: _ids(searcher.nearest(q, k)), sizes.index()),
            test.run(
                "pairdex", lambda q: collection.nearest(q[None], k, on=on).ids[0], sizes.own()
            ),
        ]
        plan = [re.sub(r"\[-?\d[^\]]*\]", "[…]", line) for line in searcher.plan(vectors[0], k)]
    return Report(store.live_rows, len(vectors), k, on, runs, plan)


def _drawn(store: Store, on: VectorField, count: int, seed: int) -> NDArray[np.float32]:
    """Return the vectors of rows drawn at random."""
    if count < 1:
        raise InvalidArgument(
            f"there are {counted(count, 'query')}, expected at least 1", field="queries"
        )
    kind: VectorField = "text" if on == "image" and "text" in store.manifest.vectors else on
    live = store.allowed()
    ids = np.arange(store.rows) if live is None else np.flatnonzero(live)
    drawn = np.random.default_rng(seed).choice(ids, min(count, len(ids)), replace=False)
    return store.vectors(kind)[np.sort(drawn)].astype(np.float32)


@dataclass(frozen=True)
class _Test:
    """Queries (n, dim), the true distances (n, k), and the vectors that are searched."""

    queries: NDArray[np.float32]
    truth: NDArray[np.float64]
    stored: VectorsView
    progress: Progress | None

    def run(self, name: str, ask: Ask, size: int) -> Run:
        """Run every query; measure its time and recall."""
        for query in self.queries[:_WARM_UP]:
            ask(query)
        seconds, good = [], 0
        for number, query in enumerate(self.queries):
            started = time.perf_counter()
            ids = ask(query)
            seconds.append(time.perf_counter() - started)
            good += self._good(number, ids[ids >= 0])
            if self.progress:
                self.progress(name, number + 1, len(self.queries))
        p50, p95 = np.quantile(seconds, [0.5, 0.95])
        possible = int(np.isfinite(self.truth).sum())
        return Run(name, good / max(1, possible), float(p50), float(p95), size)

    def _good(self, number: int, ids: NDArray[np.int64]) -> int:
        """Count the found rows that are as near as the last true neighbour."""
        true = self.truth[number][np.isfinite(self.truth[number])]
        if not len(ids) or not len(true):
            return 0
        found = cosine_distance(self.stored[ids], self.queries[number])
        return int(np.count_nonzero(found <= true[-1] + _TOLERANCE))


@dataclass(frozen=True)
class _Sizes:
    """Bytes that a search reads."""

    clients: list[Client]
    place: Place
    table: str
    on: VectorField
    store: Store

    def vectors(self) -> int:
        """Return the bytes of the uncompressed vector column."""
        kind = self._asked(
            "SELECT any(type) FROM system.columns WHERE {where} AND name = {{name:String}}",
            vector_column(self.on),
        )[0]
        width = 2 if "BFloat16" in str(kind) else 4
        return self.store.live_rows * self.store.dim * width

    def index(self) -> int:
        """Return the bytes of the index on disk, on all servers."""
        found = self._asked(
            "SELECT sum(data_compressed_bytes) FROM system.data_skipping_indices WHERE {where} "
            "AND name = {{name:String}}",
            index_name(self.on),
        )
        return sum(int(str(size)) for size in found)

    def own(self) -> int:
        """Return the bytes of the collection's vectors and of their codes, if any."""
        files = [self.store.path / part.files[self.on].path for part in self.store.manifest.parts]
        codes = codes_path(self.store.path, self.on)
        return sum(path.stat().st_size for path in [*files, codes] if path.exists())

    def _asked(self, sql: str, name: str) -> list[object]:
        # Matches the table itself or, for a Distributed table, its local table.
        where = (
            "database = currentDatabase() AND table IN ({table:String}, {table:String} || '_local')"
        )
        answers: list[object] = []
        for shard, client in enumerate(self.clients):
            with explained(self.place.name_of(shard), user=self.place.user):
                rows = client.query(
                    sql.format(where=where), parameters={"table": self.table, "name": name}
                ).result_rows
            answers.append(rows[0][0])
        return answers


def _ids(rows: list[tuple[object, ...]]) -> NDArray[np.int64]:
    return np.array([row[0] for row in rows], np.int64)
