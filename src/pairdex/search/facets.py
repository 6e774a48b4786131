"""What the columns hold among the rows that qualify: for filters that offer what there is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.files import json_values
from pairdex.store.store import Store

__all__ = [
    "MAX_DISTINCT",
    "MAX_ROWS",
    "QUANTILES",
    "TOP_VALUES",
    "Facet",
    "Facets",
    "count_facets",
]

MAX_ROWS = 2_000_000  # rows that are looked at: beyond it every so many batches, evenly
MAX_DISTINCT = 1_000  # a column of more values is text, not a choice
TOP_VALUES = 20  # the most frequent ones are given
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Facet:
    """What one column holds.

    Attributes
    ----------
    values
        Of a column of few texts or of booleans: the most frequent values and how many rows have
        them, most first, equal counts by value. None for other columns.
    distinct
        How many values there are, where they were counted.
    least, most
        Of numbers (finite ones) and times; None where there is none.
    quantiles
        Of numbers: those of QUANTILES, each a value that occurs.
    """

    name: str
    type: str
    nulls: int
    values: list[tuple[str | bool, int]] | None = None
    distinct: int | None = None
    least: Any = None
    most: Any = None
    quantiles: list[Any] | None = None


@dataclass(frozen=True)
class Facets:
    """All columns; `counted` of the `rows` that qualify were looked at."""

    rows: int
    counted: int
    columns: list[Facet]


def count_facets(store: Store, where: str | None = None) -> Facets:
    """Look at all columns of the rows that satisfy a filter and were not removed.

    Raises
    ------
    InvalidPredicate
        The filter is no predicate over the columns.
    """
    allowed = store.allowed(where)
    step = -(-store.rows // MAX_ROWS) or 1
    columns = [_column(each) for each in store.schema]
    counted = 0
    for number, (first, table) in enumerate(store.tables()):
        if number % step:
            continue
        if allowed is not None:
            table = table.filter(pa.array(allowed[first : first + len(table)]))  # noqa: PLW2901
        counted += len(table)
        for column in columns:
            column.add(table[column.name])
    rows = store.rows if allowed is None else int(allowed.sum())
    return Facets(rows, counted, [column.finish() for column in columns])


@dataclass
class _Column:
    """A column of which nothing but the nulls is counted."""

    name: str
    kind: pa.DataType
    nulls: int = 0

    def add(self, values: pa.ChunkedArray) -> None:
        self.nulls += values.null_count
        self._add(values)

    def _add(self, values: pa.ChunkedArray) -> None:
        """Look at the values too."""

    def finish(self) -> Facet:
        return Facet(self.name, str(self.kind), self.nulls)


@dataclass
class _Choices(_Column):
    """A column of texts or booleans, counted while they are few."""

    counts: Counter[str | bool] | None = field(default_factory=Counter)

    def _add(self, values: pa.ChunkedArray) -> None:
        if self.counts is None:
            return
        for pair in pc.value_counts(values.drop_null()):
            self.counts[pair["values"].as_py()] += pair["counts"].as_py()
            if len(self.counts) > MAX_DISTINCT:
                self.counts = None
                return

    def finish(self) -> Facet:
        if self.counts is None:
            return Facet(self.name, str(self.kind), self.nulls)
        most_first = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        top, distinct = most_first[:TOP_VALUES], len(most_first)
        return Facet(self.name, str(self.kind), self.nulls, values=top, distinct=distinct)


@dataclass
class _Numbers(_Column):
    """A column of numbers, of which those that are not finite count as null."""

    seen: list[NDArray[Any]] = field(default_factory=list)

    def _add(self, values: pa.ChunkedArray) -> None:
        numbers = values.drop_null().to_numpy()
        finite = numbers[np.isfinite(numbers)]
        self.nulls += len(numbers) - len(finite)
        self.seen.append(finite)

    def finish(self) -> Facet:
        numbers = np.concatenate(self.seen) if self.seen else np.empty(0)
        if not len(numbers):
            return Facet(self.name, str(self.kind), self.nulls)
        marks = np.quantile(numbers, (0, *QUANTILES, 1), method="inverted_cdf").tolist()
        return Facet(
            self.name,
            str(self.kind),
            self.nulls,
            least=marks[0],
            most=marks[-1],
            quantiles=marks[1:-1],
        )


@dataclass
class _Times(_Column):
    """A column of dates or times: the first and the last."""

    ends: pa.Array | None = None

    def _add(self, values: pa.ChunkedArray) -> None:
        known = values if self.ends is None else pa.chunked_array([*values.chunks, self.ends])
        both = pc.min_max(known)
        self.ends = pa.array([both["min"], both["max"]], self.kind)

    def finish(self) -> Facet:
        if self.ends is None:
            return Facet(self.name, str(self.kind), self.nulls)
        shown = [row["time"] for row in json_values.rows(pa.table({"time": self.ends}))]
        return Facet(self.name, str(self.kind), self.nulls, least=shown[0], most=shown[1])


def _column(field_: pa.Field) -> _Column:
    kind = field_.type
    if pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return _Choices(field_.name, kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _Numbers(field_.name, kind)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _Times(field_.name, kind)
    return _Column(field_.name, kind)
