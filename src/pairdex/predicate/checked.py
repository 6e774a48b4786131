"""Filters: one SQL predicate over the columns of a table, and nothing else that SQL can do.

DuckDB parses and evaluates it. Only expressions that always give the same result for the same row
are allowed: columns, constants, operators, and row functions whose cost is bounded by their input.
Subqueries, aggregates, windows, parameters, statements, files, settings, clocks and random numbers
are refused.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import InvalidPredicate
from pairdex.predicate.evaluation import Answer, FilterFailed, connect, evaluate, seconds_left
from pairdex.predicate.fence import fences
from pairdex.predicate.rules import Refusal, Survey, survey

if TYPE_CHECKING:
    import duckdb

__all__ = ["MAX_PREDICATE_CHARS", "Predicate"]

MAX_PREDICATE_CHARS = 10_000  # a longer one is a mistake or an attack

# SQL reads these names as the clock or the session unless a column has the name.
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


class Predicate:
    """A checked filter, ready to be evaluated on tables.

    Parameters
    ----------
    sql
        A boolean expression over the columns, as after WHERE: `width >= 512 AND nsfw = 'UNLIKELY'`.

    Raises
    ------
    InvalidPredicate
        Not one boolean expression of columns, constants, operators and the functions of `rules`.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        if not sql.strip():
            raise InvalidPredicate(
                "the filter is empty: got '', expected a predicate like width >= 512"
            )
        if len(sql) > MAX_PREDICATE_CHARS:
            raise InvalidPredicate(
                f"the filter has {len(sql):,} characters, expected at most {MAX_PREDICATE_CHARS:,}"
            )
        if "\0" in sql or any("\ud800" <= character <= "\udfff" for character in sql):
            raise InvalidPredicate(f"the filter {sql!r:.80} holds bytes that are not text")
        self._connection = _database(os.getpid()).cursor()
        self._survey = self._check(self._parse(self._query))
        if ")" in sql:
            self._check_alone()

    @property
    def columns(self) -> set[str]:
        """The lower-case names in it that may be those of columns."""
        return self._survey.columns

    def mask(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of `table` satisfy the filter, shape (rows,); NULL counts as no.

        Raises
        ------
        InvalidPredicate
            An unknown column, a type error, or a result that is not a boolean.
        """
        self._check_session_names(table.column_names)
        try:
            answer = self._evaluated(table)
        except FilterFailed as error:
            raise self._explain(error, table.column_names) from error
        if answer.kind != "boolean":
            raise InvalidPredicate(
                f"the filter {self._shown} is a {answer.kind}, expected a boolean: "
                "compare it with something"
            )
        return answer.keep

    def _evaluated(self, table: pa.Table) -> Answer:
        seconds = seconds_left()
        narrow = _narrowed(table, self._survey.columns)
        if seconds is None or self._survey.plain:
            return evaluate(self._connection, self._query, narrow, seconds)
        return fences().evaluate(self._query, narrow, seconds)

    @property
    def _query(self) -> str:
        # The line break ends a comment in the filter, so the text after the filter stays active.
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
            raise InvalidPredicate(f"the filter {self._shown} is not an SQL predicate: {reason}")
        return parsed

    def _check(self, parsed: dict[str, Any]) -> Survey:
        """Raise unless it is `SELECT (expression) AS keep FROM collection` of allowed nodes."""
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
        found = survey(node["select_list"][0])
        if found.refusal is not None:
            raise self._refused(found.refusal)
        return found

    def _check_alone(self) -> None:
        """Raise for `1=1) OR (1=1`, which closes the parenthesis that encloses the filter."""
        self._parse(f"SELECT {self.sql}")

    def _refused(self, refusal: Refusal) -> InvalidPredicate:
        if refusal.function and not self._is_known(refusal.what):
            return InvalidPredicate(
                f"the filter {self._shown} uses the unknown function {refusal.what}"
            )
        how = f" {refusal.why}" if refusal.why else ""
        expected = (
            ": expected functions of one row that give the same answer every time, and no more than "
            "their input"
        )
        return InvalidPredicate(
            f"the filter {self._shown} uses {refusal.what}{how}, which is not allowed"
            f"{expected if refusal.function else ''}"
        )

    def _is_known(self, function: str) -> bool:
        query = "SELECT count(*) FROM duckdb_functions() WHERE function_name = ?"
        return bool(self._connection.execute(query, [function]).fetchall()[0][0])

    def _check_session_names(self, columns: list[str]) -> None:
        for name in sorted(
            self._survey.first_names & _SESSION_NAMES - {column.lower() for column in columns}
        ):
            raise self._unknown_column(name, columns)

    def _explain(self, error: FilterFailed, columns: list[str]) -> InvalidPredicate:
        if error.too_long:
            return InvalidPredicate(f"the filter {self._shown} takes too long; make it simpler")
        unknown = re.search(r'Referenced (?:column|table) "([^"]+)" not found', error.reason)
        if unknown:
            return self._unknown_column(unknown[1], columns)
        return InvalidPredicate(f"the filter {self._shown} fails: {error.reason.splitlines()[0]}")

    def _unknown_column(self, name: str, columns: list[str]) -> InvalidPredicate:
        near = difflib.get_close_matches(name.lower(), columns, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return InvalidPredicate(
            f"the filter {self._shown} names the unknown column {name}; "
            f"the columns are {', '.join(columns)}{hint}"
        )


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001 - a forked process must open its own
    """Return the database that all filters of a process share: opening one takes 10 ms."""
    return connect()


def _narrowed(table: pa.Table, names: set[str]) -> pa.Table:
    """Return the columns that a filter names, or a placeholder column if it names none."""
    kept = [index for index, name in enumerate(table.column_names) if name.lower() in names]
    if kept:
        return table.select(kept)
    unused = "_" * (1 + max(map(len, names), default=0))
    return pa.table({unused: pa.nulls(len(table))})
