"""Running one SELECT in a DuckDB that can reach nothing but the collection.

No file, no network, no extension, no setting, no write: DuckDB is told so, and of the functions that give
tables only those listed here are let through, because some take addresses in memory.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pairdex.arguments import StrPath, checked
from pairdex.errors import InvalidArgument
from pairdex.metadata_sql.functions import Functions
from pairdex.metadata_sql.relation import Pairs
from pairdex.predicate import syntax_nodes
from pairdex.progress import Progress, at_step
from pairdex.search import Finder, HasFinder
from pairdex.store.store import Store
from pairdex.work.processors import usable_processors
from pairdex.work.sizes import ByteSize, parse_size

__all__ = ["DEFAULT_MEMORY", "MAX_SQL_CHARS", "TABLE", "selecting", "sql"]

TABLE = "pairs"
MAX_SQL_CHARS = 100_000  # a longer one is a mistake or an attack
DEFAULT_MEMORY = "2GB"  # what one statement may use; it may not go on to the disk

_BATCH_ROWS = 16_384
_TABLE_FUNCTIONS = frozenset({"generate_series", "nearest", "range", "unnest"})
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}


@checked
def sql(collection: StrPath, statement: str, *, memory: ByteSize = DEFAULT_MEMORY) -> pa.Table:
    """Run one SELECT over a collection's metadata, read only.

    Parameters
    ----------
    collection
        Its folder, or an opened one, whose model is not loaded again.
    statement
        DuckDB's SQL. The table is `pairs`: `id`, `part`, `row` and all other columns.
        `nearest('a red car', 100)` is the table of the rows nearest to a text, with `distance`;
        `distance(id, 'a red car')` is a row's distance.
    memory
        What the statement may use: `2GB`, or bytes.

    Returns
    -------
    pyarrow.Table
        All rows; `pairdex.metadata_sql.session.selecting` yields them a batch at a time.

    Raises
    ------
    InvalidArgument
        Not one SELECT, or it fails.
    """
    with selecting(collection, statement, memory=memory) as rows:
        return rows.read_all()


@contextmanager
def selecting(
    collection: StrPath | HasFinder,
    sql: str,
    *,
    memory: ByteSize = DEFAULT_MEMORY,
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """Run a SELECT over the table `pairs` and give its rows, a batch at a time.

    Parameters
    ----------
    collection
        Its folder, or an opened one.
    sql
        One SELECT of DuckDB. `pairs` has the columns `id`, `part`, `row` and all others of the
        collection; `nearest(text, k)` is a table of the nearest rows, `distance(id, text)` a number.
    memory
        What the statement may use: `2GB`, or bytes.
    progress
        Called while rows of `pairs` are read.

    Raises
    ------
    InvalidArgument
        Not one SELECT; an unknown column or function; it fails, or needs more memory.
    PairdexError
        What a search in it, or reading the collection, raises.
    """
    finder = _finder(collection)
    store = Store(finder.store.path)  # as it is now
    pairs = Pairs(store, progress=at_step(progress, "reading"))
    functions = Functions(finder, store)
    connection = _connect(parse_size(memory))
    try:
        _check(connection, sql)
        functions.define(connection)
        connection.register(TABLE, pairs)
        connection.execute("SET lock_configuration = true")
        yield connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException) as error:
        raise pairs.error or functions.error or _explained(error, store) from None
    finally:
        connection.close()


def _finder(collection: StrPath | HasFinder) -> Finder:
    if isinstance(collection, HasFinder):
        return collection.finder
    return Finder(Store(Path(collection)))


def _connect(memory_bytes: int) -> duckdb.DuckDBPyConnection:
    limits = {"memory_limit": f"{memory_bytes}B", "threads": str(usable_processors())}
    connection = duckdb.connect(":memory:", config=_SETTINGS | limits)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # not the machine's
    return connection


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse all but one SELECT whose tables come from the collection."""
    if not sql.strip():
        raise InvalidArgument("the statement is empty; expected a SELECT", field="sql")
    if len(sql) > MAX_SQL_CHARS:
        raise InvalidArgument(
            f"the statement has {len(sql):,} characters, expected at most {MAX_SQL_CHARS:,}",
            field="sql",
        )
    if "\0" in sql or any("\ud800" <= character <= "\udfff" for character in sql):
        raise InvalidArgument("the statement holds bytes that are no text", field="sql")
    for node in syntax_nodes(_parsed(connection, sql)):
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise InvalidArgument(
                    f"the statement is refused: {name} is not allowed as a table; "
                    f"expected {TABLE}, {', '.join(sorted(_TABLE_FUNCTIONS))}",
                    field="sql",
                )


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """Return the syntax tree of the one SELECT that it is."""
    rows = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    try:
        parsed: dict[str, Any] = json.loads(rows[0][0])
    except RecursionError as error:
        raise InvalidArgument("the statement is nested too deeply", field="sql") from error
    if parsed["error"]:
        reason = " ".join(str(parsed.get("error_message", "it cannot be parsed")).split())
        if "Only SELECT" in reason:
            reason = "expected one SELECT, as nothing can be written"
        raise InvalidArgument(f"the statement is refused: {reason}", field="sql")
    if len(parsed["statements"]) != 1:
        raise InvalidArgument(
            f"there are {len(parsed['statements'])} statements, expected one SELECT", field="sql"
        )
    return parsed


def _explained(error: Exception, store: Store) -> InvalidArgument:
    text = " ".join(str(error).split(" LINE ")[0].split("\n\n")[0].split())
    if "Out of Memory" in text:
        return InvalidArgument(
            "the statement needs more memory than it may use: give more with --memory, or ask for "
            "fewer rows or columns",
            field="memory",
        )
    unknown = re.search(r'Referenced column "([^"]+)" not found', text)
    if unknown:
        names = ["id", *store.schema.names]
        near = difflib.get_close_matches(unknown[1].lower(), names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return InvalidArgument(
            f"the statement names the unknown column {unknown[1]}; {TABLE} has {', '.join(names)}{hint}",
            field="sql",
        )
    return InvalidArgument(f"the statement fails: {text}", field="sql")
