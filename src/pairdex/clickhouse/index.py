"""The vector index of ClickHouse: its settings, and building it with progress."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pairdex.clickhouse.connection import OLDEST, Place, connected, explained
from pairdex.clickhouse.schema import (
    DEFAULT_TABLE,
    Shard,
    Table,
    check_owner,
    table_of,
)
from pairdex.errors import EngineFailed, InvalidArgument, Mismatch
from pairdex.exports.clickhouse import vector_column
from pairdex.progress import Progress
from pairdex.store.store import Store, VectorField

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["DEFAULT_INDEX", "IndexReport", "IndexSpec", "build_indexes", "index_name"]

DEFAULT_INDEX = "hnsw,cosineDistance,bf16,64,256"
"""Values of the tutorial: method, distance, quantization, neighbours of a node (M),
and candidates when building (ef)."""

_QUANTISATIONS = ("f64", "f32", "f16", "bf16", "i8", "b1")
_MAX_NEIGHBOURS, _MAX_CANDIDATES = 1024, 4096
_POLL_SECONDS = (0.05, 1.0)  # seconds between two polls: the first wait and the longest


@dataclass(frozen=True)
class IndexSpec:
    """An index of vectors: `m` neighbours of a node, `ef` candidates when it is built."""

    quantisation: str
    m: int
    ef: int

    @classmethod
    def parse(cls, text: str) -> IndexSpec:
        """Parse a spec such as `hnsw,cosineDistance,bf16,64,256`; trailing fields are optional.

        Raises
        ------
        InvalidArgument
            Another method, distance or rounding, or a number out of range.
        """
        given = [field.strip() for field in text.split(",")]
        default = DEFAULT_INDEX.split(",")
        fields = given + default[len(given) :]
        method, distance, quantisation, *numbers = fields
        if (
            len(fields) != len(default)
            or (method, distance) != tuple(default[:2])
            or quantisation not in _QUANTISATIONS
            or not all(number.isdecimal() for number in numbers)
        ):
            raise InvalidArgument(
                f"the index is {text!r}, expected one like {DEFAULT_INDEX}: hnsw, cosineDistance, "
                f"{' or '.join(_QUANTISATIONS)}, neighbours, candidates",
                field="index",
            )
        m, ef = map(int, numbers)
        if not (2 <= m <= _MAX_NEIGHBOURS and 1 <= ef <= _MAX_CANDIDATES):
            raise InvalidArgument(
                f"the index has {m:,} neighbours and {ef:,} candidates, expected 2 to "
                f"{_MAX_NEIGHBOURS:,} and 1 to {_MAX_CANDIDATES:,}",
                field="index",
            )
        return cls(quantisation, m, ef)

    def type_of(self, dim: int) -> str:
        """Return the index type of ClickHouse for vectors of a dimension."""
        return (
            f"vector_similarity('hnsw', 'cosineDistance', {dim}, '{self.quantisation}', "
            f"{self.m}, {self.ef})"
        )


@dataclass(frozen=True)
class IndexReport:
    """The index of one column: its bytes on disk, and its build time in seconds (0 if it existed)."""

    name: str
    type: str
    bytes: int
    seconds: float


def index_name(on: VectorField) -> str:
    """Return the name of the index of a kind of vectors, as the tutorial calls it."""
    return f"{on}_index"


def build_indexes(
    collection: str | Path,
    place: Place,
    spec: IndexSpec,
    *,
    table: str = DEFAULT_TABLE,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> list[IndexReport]:
    """Build the index on every vector column of a loaded table, on every server.

    An interrupted build is resumed or repeated. An existing index is kept.

    Raises
    ------
    EngineFailed
        A server is down, too old, or fails to build.
    Mismatch
        Another index has that name.
    """
    store = Store(Path(collection))
    wanted = table_of(store, table, cluster=cluster)
    reports = []
    with connected(place) as clients:
        for number, client in enumerate(clients):
            where = place.name_of(number)
            check_version(client.server_version or "", where)
            check_owner(client, wanted.local, store, Shard(number, len(clients)), where)
            for on in wanted.kinds:
                builder = _Builder(client, wanted, on, where)
                reports.append(builder.run(spec.type_of(store.dim), progress))
    return reports


def check_version(version: str, where: object) -> None:
    """Raise EngineFailed for a server that is older than the index."""
    if [int(n) for n in re.findall(r"\d+", version)[:2]] < [int(n) for n in OLDEST.split(".")]:
        raise EngineFailed(
            f"ClickHouse at {where} is too old: it is {version}, vector_similarity needs {OLDEST}"
        )


class _Builder:
    """One index of one server."""

    def __init__(self, client: Client, table: Table, on: VectorField, where: object) -> None:
        self._client, self._table, self._where = client, table, where
        self._name, self._column = index_name(on), vector_column(on)

    def run(self, wanted: str, progress: Progress | None) -> IndexReport:
        started = time.perf_counter()
        with explained(self._where):
            found = self._type()
            if found is None:
                self._alter(f"ADD INDEX {self._name} {self._column} TYPE {wanted}")
            elif found != wanted:
                raise Mismatch(
                    f"{self._table.local} at {self._where} has another index {self._name}: got "
                    f"{found}, expected {wanted}; drop it with ALTER TABLE {self._table.local} "
                    f"DROP INDEX {self._name}"
                )
            done = self._done()
            if done is None:
                self._alter(f"MATERIALIZE INDEX {self._name}")
            if not done:
                self._wait(progress)
        seconds = 0.0 if done else time.perf_counter() - started
        return IndexReport(self._name, wanted, self._bytes(), seconds)

    def _alter(self, what: str) -> None:
        self._client.command(
            f"ALTER TABLE {self._table.local}{self._table.on_cluster} {what}",
            settings={"mutations_sync": 0, "alter_sync": 1},
        )

    def _of(self, system: str) -> str:
        """Return a system table, of all servers of a cluster."""
        if self._table.cluster is None:
            return f"system.{system}"
        return f"clusterAllReplicas({self._table.cluster}, system.{system})"

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        where = "database = currentDatabase() AND table = {table:String}"
        parameters = {"table": self._table.local, "name": self._name}
        return list(
            self._client.query(sql.format(where=where), parameters=parameters).result_rows  # type: ignore[arg-type]
        )

    def _type(self) -> str | None:
        rows = self._rows(
            "SELECT type_full FROM system.data_skipping_indices WHERE {where} AND name = {{name:String}}"
        )
        return str(rows[0][0]) if rows else None

    def _mutations(self) -> list[tuple[str, int, bool, str]]:
        """Return the mutations of the index, newest first: command, parts to do, done, failure."""
        rows = self._rows(
            f"SELECT command, parts_to_do, is_done, latest_fail_reason FROM {self._of('mutations')} "  # noqa: S608 - checked names
            "WHERE {where} AND position(command, {{name:String}}) > 0 AND NOT is_killed "
            "ORDER BY create_time DESC, mutation_id DESC"
        )
        return [(str(c), int(str(todo)), bool(done), str(why)) for c, todo, done, why in rows]

    def _done(self) -> bool | None:
        """Return whether the index is built; None if the build has not begun."""
        mutations = self._mutations()
        if not mutations or "MATERIALIZE INDEX" not in mutations[0][0]:
            return None
        reasons = [why for *_, done, why in mutations if why and not done]
        if reasons:
            raise EngineFailed(
                f"ClickHouse at {self._where} cannot build {self._name}: {reasons[0][:300]}"
            )
        return all(done for *_, done, _ in mutations)

    def _wait(self, progress: Progress | None) -> None:
        found = self._rows("SELECT sum(rows) FROM system.parts WHERE {where} AND active")
        rows = int(str(found[0][0]))
        pause, most = _POLL_SECONDS
        while not self._done():
            if progress:
                progress(self._name, self._built(rows), rows)
            time.sleep(pause)
            pause = min(2 * pause, most)
        if progress:
            progress(self._name, rows, rows)

    def _built(self, rows: int) -> int:
        """Return about how many rows are in the index."""
        todo = self._rows(
            "SELECT sum(parts_to_do) / greatest(count(), 1), (SELECT count() FROM system.parts "
            "WHERE {where} AND active), (SELECT sum(progress) FROM system.merges WHERE {where} "
            "AND is_mutation) FROM system.mutations WHERE {where} AND NOT is_done"
        )[0]
        left, parts, within = (float(str(value or 0)) for value in todo)
        return int(rows * max(0.0, 1 - (left - within) / parts)) if parts else 0

    def _bytes(self) -> int:
        rows = self._rows(
            f"SELECT sum(data_compressed_bytes) FROM {self._of('data_skipping_indices')} "  # noqa: S608 - checked names
            "WHERE {where} AND name = {{name:String}}"
        )
        return int(str(rows[0][0]))
