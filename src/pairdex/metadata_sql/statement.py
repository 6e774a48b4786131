"""Run one SELECT in a DuckDB that can access only the collection.

DuckDB's settings block files, the network, extensions, changes of settings and writes. Only the
table functions listed here are allowed, because some others take memory addresses.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from pairdex.errors import InvalidArgument
from pairdex.metadata_sql.functions import Functions
from pairdex.metadata_sql.relation import Pairs
from pairdex.predicate import syntax_nodes
from pairdex.progress import Progress, at_step
from pairdex.search import Finder
from pairdex.store.sharded import open_store
from pairdex.store.store import Store
from pairdex.work.processors import usable_processors

__all__ = [
    "DEFAULT_MEMORY",
    "MAX_SQL_CHARS",
    "TABLE",
    "answering",
    "too_much_memory",
]

TABLE = "pairs"
MAX_SQL_CHARS = 100_000  # a longer statement is a mistake or an attack
DEFAULT_MEMORY = "2GB"  # memory of one statement; it cannot spill to disk

_BATCH_ROWS = 16_384
_OF_THE_MODEL = frozenset({"distance", "nearest"})
_TABLE_FUNCTIONS = frozenset({"generate_series", "nearest", "range", "unnest"})
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}


@contextmanager
def answering(
    finder: Finder,
    sql: str,
    *,
    memory_bytes: int,
    limit: Callable[[int], None],
    progress: Progress | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """Run a SELECT in this process and yield its rows; see `session.selecting`.

    Parameters
    ----------
    limit
        Called with the statement's memory budget in bytes, after everything else, such as the
        model, has been loaded.
    """
    store = open_store(finder.store.path)  # its current state
    pairs = Pairs(store, progress=at_step(progress, "reading"))
    functions = Functions(finder, store)
    connection = _connect(memory_bytes)
    try:
        if _check(connection, sql) & _OF_THE_MODEL:
            _ = finder.encoder
        functions.define(connection)
        connection.register(TABLE, pairs)
        connection.execute("SET lock_configuration = true")
        limit(memory_bytes)
        yield connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException) as error:
        raise pairs.error or functions.error or _explained(error, store) from None
    except MemoryError:
        raise too_much_memory() from None
    finally:
        connection.close()


def too_much_memory() -> InvalidArgument:
    """Return the error for a statement that exceeds its memory limit."""
    return InvalidArgument(
        "the statement needs more memory than it may use: give more with --memory, or ask for "
        "fewer rows or columns",
        field="memory",
    )


def _connect(memory_bytes: int) -> duckdb.DuckDBPyConnection:
    limits = {"memory_limit": f"{memory_bytes}B", "threads": str(usable_processors())}
    connection = duckdb.connect(":memory:", config=_SETTINGS | limits)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # not the machine's time zone
    return connection


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Accept only one SELECT over the collection's tables; return the functions it uses."""
    if not sql.strip():
        raise InvalidArgument("the statement is empty; expected a SELECT", field="sql")
    if len(sql) > MAX_SQL_CHARS:
        raise InvalidArgument(
            f"the statement has {len(sql):,} characters, expected at most {MAX_SQL_CHARS:,}",
            field="sql",
        )
    if "\0" in sql or any("\ud800" <= character <= "\udfff" for character in sql):
        raise InvalidArgument("the statement holds bytes that are not text", field="sql")
    functions = set()
    for node in syntax_nodes(_parsed(connection, sql)):
        functions.add(str(node.get("function_name")).lower())
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name")).lower()
            if name not in _TABLE_FUNCTIONS:
                raise InvalidArgument(
                    f"the statement is refused: {name} is not allowed as a table; "
                    f"expected {TABLE}, {', '.join(sorted(_TABLE_FUNCTIONS))}",
                    field="sql",
                )
    return functions


def _parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """Parse the statement and return the syntax tree of its one SELECT."""
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
        return too_much_memory()
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
