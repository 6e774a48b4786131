"""Filters: one SQL predicate over the columns of a table, and nothing else that SQL can do.

DuckDB parses and evaluates it. Only what gives the same answer for the same row is let through:
columns, constants, operators and deterministic scalar functions. Subqueries, aggregates, windows,
parameters, statements, files, settings, clocks and random numbers are refused.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import InvalidPredicate

__all__ = ["MAX_PREDICATE_CHARS", "Predicate", "syntax_nodes", "time_limit"]

MAX_PREDICATE_CHARS = 10_000  # a longer one is a mistake or an attack

_MEMORY_LIMIT = "1GB"  # what one evaluation may use; `repeat('x', 1000000000)` ends here
_REFUSED_CLASSES = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "PARAMETER": "a parameter",
    "STAR": "*",
    "POSITIONAL_REFERENCE": "a positional reference",
}
# What SQL takes for the clock or the session where no column has the name.
_SESSION_NAMES = frozenset(
    [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
        "user",
    ]
)
# Functions that DuckDB, or an older one, calls consistent although they look at the clock or the session.
_INCONSISTENT = frozenset(
    {
        "age",
        "current_localtime",
        "current_localtimestamp",
        "current_setting",
        "getvariable",
        "vector_type",
    }
)
# DuckDB 2 calls all that takes times with a zone dependent on the session, whose zone is fixed here.
_STABLE = (
    "(stability = 'CONSISTENT' OR stability = 'CONSISTENT_WITHIN_QUERY' AND"
    " (list_contains(parameter_types, 'TIMESTAMP WITH TIME ZONE')"
    " OR list_contains(parameter_types, 'TIMESTAMPTZ_NS')))"
)
_end: ContextVar[float | None] = ContextVar(
    "end", default=None
)  # of this thread's time for filters
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": _MEMORY_LIMIT,
}


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let filters that are evaluated inside, by this thread, end with InvalidPredicate after that time.

    DuckDB looks at it each 2,048 rows.
    """
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


class Predicate:
    """A checked filter, ready to be evaluated on tables.

    Parameters
    ----------
    sql
        A boolean expression over the columns, as after WHERE: `width >= 512 AND nsfw = 'UNLIKELY'`.

    Raises
    ------
    InvalidPredicate
        Not one boolean expression of columns, constants, operators and deterministic functions.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._names: set[str] = set()  # of columns, as the filter spells them, in lower case
        if not sql.strip():
            raise InvalidPredicate(
                "the filter is empty: got '', expected a predicate like width >= 512"
            )
        if len(sql) > MAX_PREDICATE_CHARS:
            raise InvalidPredicate(
                f"the filter has {len(sql):,} characters, expected at most {MAX_PREDICATE_CHARS:,}"
            )
        if "\0" in sql or any("\ud800" <= character <= "\udfff" for character in sql):
            raise InvalidPredicate(f"the filter {sql!r:.80} holds bytes that are no text")
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")  # not the machine's
        self._connection.execute("SET lock_configuration = true")
        self._check(self._parse(self._query))
        self._check_alone()

    def mask(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of `table` satisfy the filter, shape (rows,); NULL counts as no.

        Raises
        ------
        InvalidPredicate
            An unknown column, a type error, or a result that is no boolean.
        """
        self._check_session_names(table.column_names)
        cursor = self._connection.cursor()
        cursor.register("collection", table)
        try:
            with self._ending(cursor):
                result = cursor.execute(self._query)
            kind = str(result.description[0][1]).strip('"').lower()
            if kind != "boolean":
                raise InvalidPredicate(
                    f"the filter {self._shown} is a {kind}, expected a boolean: compare it with something"
                )
            keep = result.fetchnumpy()["keep"]
        except duckdb.InterruptException as error:
            raise self._too_long() from error
        except duckdb.Error as error:
            raise self._explain(error, table.column_names) from error
        finally:
            cursor.close()
        filled = keep.filled(False) if isinstance(keep, np.ma.MaskedArray) else keep
        return np.asarray(filled, np.bool_)

    @property
    def _query(self) -> str:
        # The line break ends a comment, so that nothing behind the filter can be commented out.
        return f"SELECT ({self.sql}\n) AS keep FROM collection"  # noqa: S608 - `_check` holds it

    @property
    def _shown(self) -> str:
        text = " ".join(self.sql.split())
        return f"'{text if len(text) <= 80 else text[:77] + '...'}'"

    def _parse(self, query: str) -> dict[str, Any]:
        rows = self._connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        try:
            parsed: dict[str, Any] = json.loads(rows[0][0])
        except RecursionError as error:
            raise InvalidPredicate(f"the filter {self._shown} is nested too deeply") from error
        if parsed["error"]:
            reason = parsed.get("error_message", "it cannot be parsed").splitlines()[0]
            raise InvalidPredicate(f"the filter {self._shown} is no SQL predicate: {reason}")
        return parsed

    def _check(self, parsed: dict[str, Any]) -> None:
        """Refuse all but `SELECT (expression) AS keep FROM collection` with harmless nodes inside."""
        node = parsed["statements"][0]["node"]
        is_select = node["type"] == "SELECT_NODE" and len(node["select_list"]) == 1
        table = (node.get("from_table") or {}).get("table_name")
        bare = not (node.get("where_clause") or node.get("group_expressions") or node.get("having"))
        if len(parsed["statements"]) != 1 or not is_select or table != "collection" or not bare:
            raise InvalidPredicate(
                f"the filter {self._shown} is a statement, expected one predicate"
            )
        if node["select_list"][0].get("alias") != "keep" or node["modifiers"]:
            raise InvalidPredicate(
                f"the filter {self._shown} is a statement, expected one predicate"
            )
        functions = set()
        for part in syntax_nodes(node["select_list"][0]):
            what = _REFUSED_CLASSES.get(part.get("class", ""))
            if what is not None:
                raise InvalidPredicate(
                    f"the filter {self._shown} uses {what}, which is not allowed"
                )
            if part.get("class") == "FUNCTION":
                functions.add(part["function_name"].lower())
            if part.get("class") == "COLUMN_REF":
                self._names.add(part["column_names"][0].lower())
        if functions:
            self._check_functions(functions)

    def _check_alone(self) -> None:
        """Refuse `1=1) OR (1=1`, which closes a bracket around it: filters are put into brackets."""
        self._parse(f"SELECT {self.sql}")

    def _check_functions(self, names: set[str]) -> None:
        kinds: dict[str, bool] = dict(
            self._connection.execute(
                f"SELECT function_name, bool_and(function_type = 'scalar' AND {_STABLE})"  # noqa: S608
                " FROM duckdb_functions() WHERE list_contains(?, function_name) GROUP BY 1",
                [sorted(names)],
            ).fetchall()
        )
        for name in sorted(names):
            if name not in kinds:
                raise InvalidPredicate(f"the filter {self._shown} uses the unknown function {name}")
            if not kinds[name] or name in _INCONSISTENT:
                raise InvalidPredicate(
                    f"the filter {self._shown} uses {name}, which is not allowed: "
                    "expected functions of one row that give the same answer every time"
                )

    def _check_session_names(self, columns: list[str]) -> None:
        for name in sorted(self._names & _SESSION_NAMES - {column.lower() for column in columns}):
            raise self._unknown_column(name, columns)

    @contextmanager
    def _ending(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt what the cursor does when the time of `time_limit` is over."""
        end = _end.get()
        if end is None:
            yield
            return
        left = end - time.monotonic()
        if left <= 0:
            raise self._too_long()
        timer = threading.Timer(left, cursor.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _too_long(self) -> InvalidPredicate:
        return InvalidPredicate(f"the filter {self._shown} takes too long; make it simpler")

    def _explain(self, error: duckdb.Error, columns: list[str]) -> InvalidPredicate:
        text = str(error)
        unknown = re.search(r'Referenced (?:column|table) "([^"]+)" not found', text)
        if unknown:
            return self._unknown_column(unknown[1], columns)
        return InvalidPredicate(f"the filter {self._shown} fails: {text.splitlines()[0]}")

    def _unknown_column(self, name: str, columns: list[str]) -> InvalidPredicate:
        near = difflib.get_close_matches(name.lower(), columns, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return InvalidPredicate(
            f"the filter {self._shown} names the unknown column {name}; "
            f"the columns are {', '.join(columns)}{hint}"
        )


def syntax_nodes(tree: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Yield every node of a syntax tree as DuckDB serialises it."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
