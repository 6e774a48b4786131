"""What searches cost on one machine: a small model in nanoseconds, kept beside the operating points.

`ivf.timing` measures it; `search.planner` decides by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from pairdex import _native
from pairdex.work.machine import processor
from pairdex.work.processors import usable_processors

__all__ = [
    "COSTED_K",
    "BatchCosts",
    "Costs",
    "ExactCost",
    "IndexCost",
    "QueryKind",
    "between",
    "this_machine",
]

QueryKind = Literal[
    "own", "other"
]  # like the rows, or of the other kind of vectors: texts among images

COSTED_K = 10  # neighbours for which exact searches are timed


@dataclass(frozen=True)
class IndexCost:
    """The time of one query by an index, in ns.

    Attributes
    ----------
    fixed
        Before the first list is scanned.
    scanned
        For each row of the scanned lists.
    compared
        For each row that is compared as stored.
    """

    fixed: float
    scanned: float
    compared: float

    def of(self, rows: float, compared: int) -> float:
        """Return the time of a query that scans and compares this many rows."""
        return self.fixed + self.scanned * rows + self.compared * compared


@dataclass(frozen=True)
class ExactCost:
    """The time of one query by an exact search, in ns.

    Attributes
    ----------
    fixed
        Before the first row, without a filter.
    row
        For each row of the collection, without a filter.
    walked
        For each row of the collection, to see whether a filter allows it.
    gathered
        For each row that a selective filter allows.
    neighbour
        For each neighbour beyond `COSTED_K`.
    """

    fixed: float
    row: float
    walked: float
    gathered: float
    neighbour: float

    def of(self, rows: int, allowed: int | None, k: int) -> float:
        """Return the time of a query over all rows, of which a filter allows some (None: no filter)."""
        time = self.fixed + self.row * rows
        if allowed is not None:
            time = self.walked * rows + min(time, self.gathered * allowed)
        return time + self.neighbour * max(k - COSTED_K, 0)


@dataclass(frozen=True)
class BatchCosts:
    """The costs of one query in a batch of a certain size.

    Attributes
    ----------
    queries
        The size of the batch.
    index, filtered
        By the index, without and with a filter; None without queries to measure with.
    codes
        By an exact search with codes; None if there were none.
    rows
        By an exact search that compares rows as stored.
    """

    queries: int
    index: IndexCost | None
    filtered: IndexCost | None
    codes: ExactCost | None
    rows: ExactCost


@dataclass(frozen=True)
class Costs:
    """The costs of all searches of one collection on one machine.

    Attributes
    ----------
    machine
        What `this_machine` returned where they were measured.
    own, other
        For each kind of query, by ascending size of the batch; `other` is empty without such vectors.
    """

    machine: str
    own: tuple[BatchCosts, ...]
    other: tuple[BatchCosts, ...] = ()

    def of_index(
        self, kind: QueryKind, queries: int, *, scanned: float, compared: int, filtered: bool
    ) -> float | None:
        """Return the expected time of one query of a batch by the index, in ns; None if not measured."""

        def time(batch: BatchCosts) -> float | None:
            cost = batch.filtered if filtered else batch.index
            return None if cost is None else cost.of(scanned, compared)

        return between(self._of(kind), queries, time)

    def of_exact(
        self,
        kind: QueryKind,
        queries: int,
        *,
        by_codes: bool,
        rows: int,
        allowed: int | None,
        k: int,
    ) -> float | None:
        """Return the expected time of one query of a batch, in ns; None if it was not measured."""

        def time(batch: BatchCosts) -> float | None:
            cost = batch.codes if by_codes else batch.rows
            return None if cost is None else cost.of(rows, allowed, k)

        return between(self._of(kind), queries, time)

    def _of(self, kind: QueryKind) -> tuple[BatchCosts, ...]:
        return (self.other if kind == "other" else self.own) or self.own


class OfBatch(Protocol):
    """What was measured with a batch of this many queries."""

    @property
    def queries(self) -> int: ...


Batch = TypeVar("Batch", bound=OfBatch)


def between(
    batches: Sequence[Batch], queries: int, time: Callable[[Batch], float | None]
) -> float | None:
    """Interpolate between the sizes of batches that were measured, in logarithms of both."""
    sizes = [batch for batch in batches if batch.queries > 0]  # others are forged
    known = [(batch.queries, cost) for batch in sizes if (cost := time(batch)) is not None]
    if not known:
        return None
    smaller = [one for one in known if one[0] < queries] or known[:1]
    larger = [one for one in known if one[0] >= queries] or known[-1:]
    (fewer, first), (more, last) = smaller[-1], larger[0]
    if fewer == more:  # outside of what was measured
        return first
    share = math.log(queries / fewer) / math.log(more / fewer)
    return float(max(first, 1.0) ** (1 - share) * max(last, 1.0) ** share)


def this_machine() -> str:
    """Return what costs depend on: the processor, the number usable of them, and the kernel."""
    return f"{processor()}, {usable_processors()} usable, {_native.kernels()[0]}"
