"""The table of ClickHouse's LAION tutorial: its columns, creation, and owner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pairdex.clickhouse.columns import clickhouse_type, is_name, quoted
from pairdex.clickhouse.connection import Place, explained
from pairdex.errors import EngineFailed, InvalidArgument, Mismatch
from pairdex.exports.clickhouse import TUTORIAL_COLUMNS, vector_column
from pairdex.files import checksums
from pairdex.store.manifest import VectorField
from pairdex.store.store import Store

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = [
    "BLOCK_ROWS",
    "DEFAULT_DTYPE",
    "DEFAULT_TABLE",
    "Dtype",
    "Shard",
    "Table",
    "check_name",
    "check_owner",
    "check_tables",
    "have_table",
    "table_of",
]

DEFAULT_TABLE = "laion"
Dtype = Literal["float32", "bfloat16"]
DEFAULT_DTYPE: Dtype = "float32"

BLOCK_ROWS = 16_384
"""Rows of one insert, which is atomic; on a cluster, the rows sent to one shard at a time."""

_GRANULARITY = 8192
# Concurrent merges of the embedded engine; its default of up to 100 takes more memory than a load.
_MERGED_PARTS = 4
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES: dict[Dtype, str] = {"float32": "Array(Float32)", "bfloat16": "Array(BFloat16)"}


@dataclass(frozen=True)
class Shard:
    """The share of rows on one server: blocks whose number is `number` modulo `count`."""

    number: int = 0
    count: int = 1

    def holds(self, block: int) -> bool:
        """Whether this shard holds a block of BLOCK_ROWS ids."""
        return block % self.count == self.number


@dataclass(frozen=True)
class Table:
    """The definition of a table: its name, typed columns, and kinds of vectors.

    With a `cluster`, `name` is a Distributed table over tables `NAME_local` on every shard.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    extra: tuple[str, ...] = ()
    cluster: str | None = None

    @property
    def local(self) -> str:
        """The table that holds the rows."""
        return self.name if self.cluster is None else f"{self.name}_local"

    @property
    def kinds(self) -> list[VectorField]:
        """The kinds of vectors it has."""
        names = [name for name, _ in self.columns]
        kinds: list[VectorField] = ["image", "text"]
        return [kind for kind in kinds if vector_column(kind) in names]

    @property
    def on_cluster(self) -> str:
        """The `ON CLUSTER` clause; empty without a cluster."""
        return "" if self.cluster is None else f" ON CLUSTER {self.cluster}"


def table_of(
    store: Store,
    name: str,
    *,
    dtype: Dtype = DEFAULT_DTYPE,
    extra: tuple[str, ...] = (),
    cluster: str | None = None,
) -> Table:
    """Return the tutorial's table for a collection, followed by the metadata columns `extra`.

    Raises
    ------
    InvalidArgument
        An invalid name, an unknown column, or a type that ClickHouse does not have.
    """
    check_name("table", name)
    if cluster is not None:
        check_name("cluster", cluster)
    vectors = [(vector_column(on), _TYPES[dtype]) for on in store.manifest.vectors]
    columns = [*TUTORIAL_COLUMNS.items(), *vectors]
    taken = {column for column, _ in columns} | {"nsfw"}
    if extra == ("all",):
        extra = tuple(c for c in store.schema.names if c not in taken and is_name(c))
    for column in extra:
        if column not in store.schema.names or column in taken:
            free = ", ".join(c for c in store.schema.names if c not in taken)
            raise InvalidArgument(
                f"{store.path} has no further column {column}; it has {free}", field="columns"
            )
        if not is_name(column):
            raise InvalidArgument(
                f"{store.path} has a column called {column!r}, a name that ClickHouse cannot have; "
                "name the columns to load without it",
                field="columns",
            )
        columns.append((column, clickhouse_type(store.schema.field(column).type)))
    return Table(name, tuple(columns), extra, cluster)


def check_name(what: str, name: str) -> None:
    """Raise InvalidArgument unless a name is valid without quotes."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"the {what} is called {name!r}; expected letters, digits and _", field=what
        )


def have_table(client: Client, table: Table, store: Store, shard: Shard, place: Place) -> None:
    """Create the table, or check that the existing one belongs to the collection.

    Raises
    ------
    Mismatch
        It has other columns, or rows of something else.
    """
    where, embedded = place.name_of(shard.number), place.path is not None
    with explained(where):
        found = client.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
            "AND table = {name:String} ORDER BY position",
            parameters={"name": table.local},
        ).result_rows
        if not found:
            client.command(_create(table, store, shard, embedded=embedded))
        else:
            _check_columns(table, [(str(n), str(t)) for n, t in found], where)
            _take_over(client, table, store, shard, where)
        if table.cluster is not None:
            client.command(
                f"CREATE TABLE IF NOT EXISTS {table.name}{table.on_cluster} AS {table.local} "
                f"ENGINE = Distributed({table.cluster}, currentDatabase(), {table.local}, "
                f"intDiv(id, {BLOCK_ROWS})) COMMENT '{_owner(store, len(store.manifest.parts), shard)}'"
            )


def _create(table: Table, store: Store, shard: Shard, *, embedded: bool) -> str:
    vectors = {vector_column(kind) for kind in table.kinds}
    lines = ",\n".join(
        f"    {quoted(name)} {kind}{' CODEC(NONE)' if name in vectors else ''}"
        for name, kind in table.columns
    )
    merging = f", max_parts_to_merge_at_once = {_MERGED_PARTS}" if embedded else ""
    return (
        f"CREATE TABLE {table.local}{table.on_cluster}\n(\n{lines}\n)\n"
        f"ENGINE = MergeTree\nORDER BY id\nSETTINGS index_granularity = {_GRANULARITY}{merging}\n"
        f"COMMENT '{_owner(store, len(store.manifest.parts), shard)}'"
    )


def _owner(store: Store, parts: int, shard: Shard) -> str:
    """Return the collection that a table belongs to, identified by its first parts' vectors."""
    kinds = store.manifest.vectors
    files = [part.files[on].checksum for part in store.manifest.parts[:parts] for on in kinds]
    checksum = checksums.of_bytes(" ".join(files).encode())
    return f"pairdex: {parts} parts, checksum {checksum}, shard {shard.number} of {shard.count}"


def _check_columns(table: Table, found: list[tuple[str, str]], where: object) -> None:
    if found == list(table.columns):
        return
    wanted = dict(table.columns)
    different = next(
        (f"{n} {t}" for n, t in found if wanted.get(n) != t),
        next((f"no {n}" for n, _ in table.columns if n not in dict(found)), "another order"),
    )
    listed = ", ".join(f"{n} {t}" for n, t in table.columns)
    raise Mismatch(
        f"the table {table.local} at {where} has other columns: got {different}, "
        f"expected {listed}; choose another --table"
    )


def check_owner(client: Client, name: str, store: Store, shard: Shard, where: object) -> str:
    """Check that a table is empty or holds rows of the collection; return its owner record.

    Raises
    ------
    EngineFailed
        The table does not exist.
    Mismatch
        It holds rows of something else.
    """
    with explained(where):
        found = client.query(
            "SELECT comment, total_rows FROM system.tables WHERE database = currentDatabase() "
            "AND name = {name:String}",
            parameters={"name": name},
        ).result_rows
    if not found:
        raise EngineFailed(
            f"the table {name} does not exist at {where}; create it with pairdex clickhouse load {store.path}"
        )
    comment, rows = str(found[0][0]), found[0][1]
    said = re.match(r"pairdex: (\d+) parts, checksum ", comment)
    parts = int(said[1]) if said else 0
    ours = parts <= len(store.manifest.parts) and comment == _owner(store, parts, shard)
    if not ours and (said or rows):
        raise Mismatch(
            f"the table {name} at {where} holds other rows than those of {store.path}; "
            "drop it, or choose another --table"
        )
    return comment


def check_tables(clients: list[Client], place: Place, store: Store, name: str) -> None:
    """Check every server's table against the collection; raises as `check_owner`."""
    check_name("table", name)
    for number, client in enumerate(clients):
        check_owner(client, name, store, Shard(number, len(clients)), place.name_of(number))


def _take_over(client: Client, table: Table, store: Store, shard: Shard, where: object) -> None:
    """Record in the table that it holds all current parts."""
    ours = _owner(store, len(store.manifest.parts), shard)
    if check_owner(client, table.local, store, shard, where) != ours:
        for name in sorted({table.local, table.name}):
            client.command(f"ALTER TABLE {name}{table.on_cluster} MODIFY COMMENT '{ours}'")
