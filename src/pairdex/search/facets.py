"""Column statistics over the rows that satisfy a filter, for building filter menus."""

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
    "BINS",
    "MAX_DISTINCT",
    "MAX_ROWS",
    "QUANTILES",
    "TOP_VALUES",
    "Facet",
    "Facets",
    "count_facets",
]

MAX_ROWS = 2_000_000  # rows to count; beyond it, sample batches evenly
MAX_DISTINCT = 1_000  # a column with more distinct values is free text
TOP_VALUES = 20  # report only the most frequent values
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COUNTED_RANGE = 1 << 16  # of whole numbers that are counted instead of sorted
BINS = 24  # intervals of a histogram: a few pixels each in a menu


@dataclass(frozen=True)
class Facet:
    """Statistics of one column.

    Attributes
    ----------
    values
        For columns of booleans or of few distinct texts: the most frequent values and their row
        counts. The largest count comes first; equal counts are sorted by value. None for other
        columns.
    distinct
        Number of distinct values, if counted.
    least, most
        Minimum and maximum of finite numbers or of times. None if the column has no such value.
    quantiles
        For numbers: the quantiles in QUANTILES. Each is a value in the column.
    histogram
        For numbers and times: row counts in BINS intervals of equal width from `least` to `most`. Each
        interval includes its start; the last also its end.
    """

    name: str
    type: str
    nulls: int
    values: list[tuple[str | bool, int]] | None = None
    distinct: int | None = None
    least: Any = None
    most: Any = None
    quantiles: list[Any] | None = None
    histogram: list[int] | None = None


@dataclass(frozen=True)
class Facets:
    """Statistics of all columns, from `counted` of the `rows` that qualify."""

    rows: int
    counted: int
    columns: list[Facet]


def count_facets(
    store: Store, where: str | None = None, among: NDArray[np.bool_] | None = None
) -> Facets:
    """Count the values of all columns over the rows that satisfy a filter and were not removed.

    Parameters
    ----------
    among
        Shape (rows,): count only these rows.

    Raises
    ------
    InvalidPredicate
        The filter is not a valid predicate over the columns.
    """
    allowed = store.allowed(where)
    if among is not None:
        allowed = among if allowed is None else allowed & among
    step = -(-store.rows // MAX_ROWS) or 1
    columns = [_column(each) for each in store.schema]
    counted = 0
    for number, (first, table) in enumerate(store.tables()):
        if number % step:
            continue
        chosen = None if allowed is None else allowed[first : first + len(table)]
        counted += len(table) if chosen is None else int(np.count_nonzero(chosen))
        for column in columns:
            column.add(table[column.name], chosen)
    rows = store.rows if allowed is None else int(allowed.sum())
    return Facets(rows, counted, [column.finish() for column in columns])


@dataclass
class _Column:
    """Counts only the nulls of a column."""

    name: str
    kind: pa.DataType
    nulls: int = 0

    @property
    def counts_values(self) -> bool:
        """Whether it still does more than to count nulls."""
        return False

    def add(self, values: pa.ChunkedArray, chosen: NDArray[np.bool_] | None) -> None:
        """Add the values of one batch, or the chosen ones of them."""
        if chosen is not None and (self.counts_values or values.null_count):
            values = values.filter(pa.array(chosen))
        self.nulls += values.null_count
        if self.counts_values:
            self._add(values)

    def _add(self, values: pa.ChunkedArray) -> None:
        """Count the values too."""

    def finish(self) -> Facet:
        return Facet(self.name, str(self.kind), self.nulls)


@dataclass
class _Choices(_Column):
    """Counts the values of a text or boolean column until it has too many distinct ones."""

    counts: Counter[str | bool] | None = field(default_factory=Counter)

    @property
    def counts_values(self) -> bool:
        """Whether it has not yet found too many distinct values."""
        return self.counts is not None

    def _add(self, values: pa.ChunkedArray) -> None:
        assert self.counts is not None, "counts_values says so"
        pairs = pc.value_counts(values.drop_null())
        if len(pairs) <= MAX_DISTINCT:
            found, counts = pairs.flatten()
            for value, count in zip(found.to_pylist(), counts.to_pylist(), strict=True):
                self.counts[value] += count
        if max(len(pairs), len(self.counts)) > MAX_DISTINCT:
            self.counts = None

    def finish(self) -> Facet:
        if self.counts is None:
            return Facet(self.name, str(self.kind), self.nulls)
        most_first = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        top, distinct = most_first[:TOP_VALUES], len(most_first)
        return Facet(self.name, str(self.kind), self.nulls, values=top, distinct=distinct)


@dataclass
class _Numbers(_Column):
    """Summarises a column of numbers; numbers that are not finite count as null."""

    seen: list[NDArray[Any]] = field(default_factory=list)

    @property
    def counts_values(self) -> bool:
        """Always."""
        return True

    def _add(self, values: pa.ChunkedArray) -> None:
        numbers = values.drop_null().to_numpy()
        finite = numbers[np.isfinite(numbers)]
        self.nulls += len(numbers) - len(finite)
        self.seen.append(finite)

    def finish(self) -> Facet:
        numbers = np.concatenate(self.seen) if self.seen else np.empty(0)
        if not len(numbers):
            return Facet(self.name, str(self.kind), self.nulls)
        spread = _Spread.of(numbers)
        marks = [spread.quantile(share) for share in (0, *QUANTILES, 1)]
        return Facet(
            self.name,
            str(self.kind),
            self.nulls,
            least=marks[0],
            most=marks[-1],
            quantiles=marks[1:-1],
            histogram=spread.histogram(),
        )


@dataclass
class _Times(_Column):
    """Finds the first and last value of a column of dates or times, and how they are spread."""

    ends: pa.Array | None = None
    seen: list[NDArray[Any]] = field(default_factory=list)

    @property
    def counts_values(self) -> bool:
        """Always."""
        return True

    def _add(self, values: pa.ChunkedArray) -> None:
        steps = pa.int32() if self.kind.bit_width == 32 else pa.int64()
        self.seen.append(values.drop_null().cast(steps).to_numpy())
        known = values if self.ends is None else pa.chunked_array([*values.chunks, self.ends])
        both = pc.min_max(known)
        self.ends = pa.array([both["min"], both["max"]], self.kind)

    def finish(self) -> Facet:
        if self.ends is None:
            return Facet(self.name, str(self.kind), self.nulls)
        shown = [row["time"] for row in json_values.rows(pa.table({"time": self.ends}))]
        times = np.concatenate(self.seen)
        return Facet(
            self.name,
            str(self.kind),
            self.nulls,
            least=shown[0],
            most=shown[1],
            histogram=_Spread.of(times).histogram() if len(times) else None,
        )


@dataclass(frozen=True)
class _Spread:
    """The values of some numbers, at least one, and how many numbers are at most each of them; both ascending."""

    values: NDArray[Any]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, numbers: NDArray[Any]) -> _Spread:
        """Count whole numbers of a small range; sort others."""
        least = numbers.min()
        if numbers.dtype.kind in "iu" and int(numbers.max()) - int(least) < _COUNTED_RANGE:
            wide = np.uint64 if numbers.dtype == np.uint64 else np.int64
            counts = np.bincount((numbers.astype(wide) - wide(least)).astype(np.int64))
            values = np.flatnonzero(counts)
            return cls(values.astype(wide) + wide(least), np.cumsum(counts[values]))
        return cls(np.sort(numbers), np.arange(1, len(numbers) + 1))

    def quantile(self, share: float) -> Any:  # noqa: ANN401 - a value of the column
        """Return the least value that at least a share of the numbers does not exceed."""
        place = max(int(np.ceil(self.ends[-1] * share - 1)), 0)
        return self.values[np.searchsorted(self.ends, place, side="right")].item()

    def histogram(self) -> list[int]:
        """Return counts in equal intervals; differences are taken first, as times are large."""
        wide = (
            np.uint64 if self.values.dtype.kind in "iu" else np.float64
        )  # differences wrap rightly
        above = (self.values.astype(wide) - self.values[0].astype(wide)).astype(np.float64)
        if not np.isfinite(above[-1]):  # a range wider than float64
            return [int(self.ends[-1])] + [0] * (BINS - 1)
        starts = np.linspace(0.0, above[-1] or 1.0, BINS + 1)
        below = np.concatenate([[0], self.ends])[np.searchsorted(above, starts[:-1])]
        return [int(count) for count in np.diff(below, append=self.ends[-1])]


def _column(field_: pa.Field) -> _Column:
    kind = field_.type
    if pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return _Choices(field_.name, kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _Numbers(field_.name, kind)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _Times(field_.name, kind)
    return _Column(field_.name, kind)
