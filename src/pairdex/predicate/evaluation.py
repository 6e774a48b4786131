"""Evaluate a filter on a table: in this process, or in a fence if it is untrusted and not plain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.work.deadlines import Deadlines

__all__ = ["Answer", "FilterFailed", "connect", "evaluate", "seconds_left", "time_limit"]

_MEMORY_LIMIT = "1GB"  # memory that DuckDB accounts for; the fence limits the rest
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": _MEMORY_LIMIT,
}
_deadlines = Deadlines()
_end: ContextVar[float | None] = ContextVar(
    "end", default=None
)  # end of this thread's time for filters


class FilterFailed(Exception):
    """DuckDB failed, or a limit was exceeded; `too_long` is True for the time limit."""

    def __init__(self, reason: str, *, too_long: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.too_long = too_long


@dataclass(frozen=True)
class Answer:
    """The type of a filter's result, and which rows it keeps, shape (rows,)."""

    kind: str
    keep: NDArray[np.bool_]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Treat filters that this thread evaluates inside the block as untrusted, with a time limit.

    Filters beyond plain comparisons run in a separate process, which has a memory limit and is
    killed at the time limit. Plain filters are interrupted, which DuckDB checks every 2,048 rows.
    """
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def seconds_left() -> float | None:
    """Return the remaining seconds of the time limit; None without a limit.

    Raises
    ------
    FilterFailed
        The time is used up.
    """
    end = _end.get()
    if end is None:
        return None
    left = end - time.monotonic()
    if left <= 0:
        raise FilterFailed("its time is over", too_long=True)
    return left


def connect(**settings: str) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection without access to files or network, in time zone UTC."""
    connection = duckdb.connect(":memory:", config=_SETTINGS | settings)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
    return connection


def evaluate(
    connection: duckdb.DuckDBPyConnection, query: str, table: pa.Table, seconds: float | None
) -> Answer:
    """Evaluate a filter on a table in this process.

    Parameters
    ----------
    query
        `SELECT (filter) AS keep FROM collection`.
    seconds
        Seconds after which DuckDB is interrupted; None for no limit.

    Raises
    ------
    FilterFailed
        DuckDB failed, or the time is over.
    """
    cursor = connection.cursor()
    cursor.register("collection", table)
    try:
        in_time = nullcontext() if seconds is None else _deadlines.within(seconds, cursor.interrupt)
        with in_time:
            result = cursor.execute(query)
        kind = str(result.description[0][1]).strip('"').lower()
        if kind != "boolean":
            return Answer(kind, np.zeros(len(table), np.bool_))
        keep = result.fetchnumpy()["keep"]
    except duckdb.InterruptException as error:
        raise FilterFailed("its time is over", too_long=True) from error
    except MemoryError as error:
        raise FilterFailed("it needs more memory than a filter may use") from error
    except duckdb.Error as error:
        raise FilterFailed(str(error)) from error
    finally:
        cursor.close()
    filled = keep.filled(False) if isinstance(keep, np.ma.MaskedArray) else keep
    return Answer(kind, np.asarray(filled, np.bool_))
