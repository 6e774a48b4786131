"""Exact k nearest rows of float16 blocks, by cosine distance or by inner product.

A fast scan, of the rows in float32 or of their 8-bit codes, rules out rows by a proven bound. All other
rows are compared in float64, summed in one fixed order. So the answer does not depend on the scan, the
kernel, the number of threads or the blocks, and no row outside it can be nearer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pairdex import _native
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.arguments import check_allowed, check_blocks, check_options
from pairdex.knn.codes import AnyCodes, Codes, CodesOfShards
from pairdex.knn.distance import Metric
from pairdex.knn.merging import Merging
from pairdex.knn.ways import Choice
from pairdex.work.processors import usable_processors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MAX_DISTANCE", "Answered", "Neighbours", "Report", "check_queries", "nearest"]

MAX_DISTANCE = 2.0  # of opposite vectors

# A filter that keeps less than this share of the rows makes reading only those rows cheaper than a
# scan of all codes, as long as the queries are few.
_SPARSE_SHARE = 1 / 16
_FEW_QUERIES = 16
_PRODUCTS_A_THREAD = 1 << 21  # about 100 microseconds, in which a thread starts


@dataclass(frozen=True)
class Answered:
    """What answered a search, with which settings.

    Attributes
    ----------
    by
        `exact`, `ivf`, `graph`, or the name of a projection.
    params
        The settings: `nprobe=4 rerank=20`. Empty if there are none.
    asked
        The recall that the search was to reach; None if it asked for none.
    promised
        The lower bound of the recall that was measured with these settings when the index was built.
    measured_on
        The number of queries that measured it.
    build_seconds
        The time to build the index, if it is recorded.
    exactly
        The positions of the queries that the exact search answered although `by` is something else.
    by_lists
        The positions of the queries that the lists answered although `by` is `graph`.
    choices
        For each kind of query: the ways there were, and why one was taken.
    """

    by: str = "exact"
    params: str = ""
    asked: float | None = None
    promised: float | None = None
    measured_on: int = 0
    build_seconds: float | None = None
    exactly: tuple[int, ...] = ()
    by_lists: tuple[int, ...] = ()
    choices: tuple[Choice, ...] = field(default=(), compare=False)

    def counts(self, n_queries: int) -> dict[str, int]:
        """Return how many of the queries each method answered; methods without queries are left out.

        Examples
        --------
        >>> Answered("ivf", exactly=(0, 7)).counts(10)
        {'ivf': 8, 'exact': 2}
        """
        lists, exact = len(self.by_lists), len(self.exactly)
        counts = {self.by: n_queries - lists - exact}
        for by, count in (("ivf", lists), ("exact", exact)):
            counts[by] = counts.get(by, 0) + count
        return {by: count for by, count in counts.items() if count}

    def of_query(self, position: int) -> Answered:
        """Return what answered one query of the batch."""
        choices = tuple(
            replace(choice, positions=np.zeros(1, np.int64))
            for choice in self.choices
            if position in choice.positions
        )
        if position in self.exactly:
            return Answered(asked=self.asked, choices=choices)
        by = "ivf" if position in self.by_lists else self.by
        return replace(self, by=by, exactly=(), by_lists=(), choices=choices)


@dataclass(frozen=True)
class Report:
    """What a search did. Every count is a number of pairs of query and row.

    Attributes
    ----------
    scanned
        Pairs bounded by 8-bit codes, in whole groups of 32 rows, or scored by an index; 0 if rows were read.
    refined
        Those of them that were bounded again with all dimensions.
    rechecked
        Pairs compared in float64, or by an index as stored.
    certified
        True if an inequality proves that no row outside the answer is nearer; false only for an index.
    exact
        True if no other row is nearer by the cosine of the vectors themselves; false in a projection
        and for an index.
    recall
        For an index: the recall measured with this effort when it was built.
    answered
        What answered, with which settings.
    missing
        The shards that did not answer, where a partial answer was asked for; it promises nothing then.
    """

    scanned: int
    refined: int
    rechecked: int
    certified: bool = True
    exact: bool = True
    recall: float | None = None
    answered: Answered = Answered()
    missing: tuple[str, ...] = ()

    def of_query(self, position: int) -> Report:
        """Return the report with what answered one query; counts remain those of the batch."""
        answered = self.answered.of_query(position)
        if position not in self.answered.exactly or self.missing:
            return replace(self, answered=answered)
        return replace(self, certified=True, exact=True, recall=None, answered=answered)


def total_counts(reports: Sequence[Report]) -> tuple[int, int, int]:
    """Return the scanned, refined and rechecked pairs of several searches together."""
    scanned, refined = sum(one.scanned for one in reports), sum(one.refined for one in reports)
    return scanned, refined, sum(one.rechecked for one in reports)


@dataclass(frozen=True, eq=False, repr=False)
class Neighbours:
    """The k nearest rows of each query, nearest first, equal distances by smaller id.

    `ids, distances = found` unpacks it as a pair, with distances as float32.

    Attributes
    ----------
    ids
        (n, k) int64, 0-based over all blocks; -1 where fewer than k rows qualify.
    distances
        (n, k) float64, 1 - cos in [0, 2], or the negative inner product; infinity beside an id of -1.
    report
        How the answer was found.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.float64]
    report: Report

    def __iter__(self) -> Iterator[NDArray[Any]]:
        yield self.ids
        yield self.distances.astype(np.float32)

    def __getitem__(self, place: int) -> NDArray[Any]:
        return tuple(self)[place]

    def __repr__(self) -> str:
        exactly = "exact" if self.report.exact else "approximate"
        return f"<Neighbours {self.ids.shape}, {exactly}>"

    @property
    def table(self) -> pa.Table:
        """A pyarrow.Table with a row for each neighbour: query, rank (both from 0), id, distance."""
        from pairdex.files.result_files import long_table  # noqa: PLC0415 - HDF5 loads slowly

        return long_table(np.atleast_2d(self.ids), np.atleast_2d(self.distances))


def nearest(
    blocks: Sequence[NDArray[np.float16]],
    queries: NDArray[np.float32],
    k: int,
    *,
    metric: Metric = "cosine",
    allowed: NDArray[np.bool_] | None = None,
    within: float | None = None,
    codes: AnyCodes | None = None,
    gather: bool | None = None,
    threads: int | None = None,
    kernel: str | None = None,
) -> Neighbours:
    """Find the k nearest rows of each query, exactly.

    Rows that are all zero or not finite are never found.

    Parameters
    ----------
    blocks
        C-contiguous (rows, dim) float16 arrays, usually memory maps; ids run over them in order.
    queries
        (n, dim), any real dtype, of any length but zero; compared as float32.
    k
        At least 1; may exceed the number of rows.
    metric
        `cosine`, or `ip` for the largest inner products, whose distances are their negatives.
    allowed
        (rows,) over all blocks: only rows where it is true are found.
    within
        Largest distance of a row that is found; a smaller limit makes the search faster. Only for cosines.
    codes
        The codes of exactly these blocks (`pairdex.knn.codes`), made for this metric: the same answer,
        many times faster. Codes of shards cover consecutive blocks each.
    gather
        Compare the allowed rows themselves although there are codes; None: if that seems to be faster.
    threads
        At least 1; by default every core that this process may use, if there is enough to do.
    kernel
        A name from ``_native.kernels()``, for tests; the fastest by default.

    Returns
    -------
    Neighbours
        k rows for each query if k rows qualify.

    Raises
    ------
    InvalidArgument
        For a k or thread count below 1, a negative `within`, a query without a direction, or an unknown kernel.
    Mismatch
        If dims or dtypes differ, or `allowed` is not one flag a row.
    """
    check_options(k, threads, kernel)
    _check_within(within, metric)
    checked = check_queries(queries)
    n_rows = sum(len(block) for block in blocks)
    check_blocks(blocks, checked.shape[1], np.float16)
    check_allowed(allowed, n_rows)
    _check_codes(codes, n_rows, checked.shape[1], metric)
    work = _Work(
        list(blocks),
        checked,
        k,
        metric,
        allowed,
        _farthest(metric) if within is None else within,
        threads or _worthwhile_threads(n_rows * checked.size),
        kernel or "",
    )
    if gather is None:
        gather = _is_sparse(allowed, len(checked))
    if codes is None or gather:
        return work.by_floats()
    return work.by_codes(codes) if isinstance(codes, Codes) else work.by_shards(codes)


@dataclass(frozen=True)
class _Work:
    """Checked arguments of a search."""

    blocks: list[NDArray[np.float16]]
    queries: NDArray[np.float32]
    k: int
    metric: Metric
    allowed: NDArray[np.bool_] | None
    within: float | NDArray[np.float64]
    threads: int
    kernel: str

    @property
    def answered(self) -> Answered:
        return Answered() if self.metric == "cosine" else Answered(params=f"metric={self.metric}")

    def by_floats(self) -> Neighbours:
        ids, distances, rechecked = _native.nearest(
            self.blocks,
            self.queries,
            self.k,
            allowed=self.allowed,
            within=self.within,
            inner_product=self.metric == "ip",
            threads=self.threads,
            kernel=self.kernel,
        )
        return Neighbours(ids, distances, Report(0, 0, rechecked, answered=self.answered))

    def by_codes(self, codes: Codes) -> Neighbours:
        ids, distances, scanned, refined, rechecked = _native.nearest_by_codes(
            self.blocks,
            self.queries,
            self.k,
            coordinates=codes.coordinates(self.queries),
            slack=codes.slack,
            head=codes.head,
            rest=codes.rest,
            allowed=self.allowed,
            within=self.within,
            row_norm=codes.row_norm,
            threads=self.threads,
            kernel=self.kernel,
        )
        report = Report(scanned, refined, rechecked, answered=self.answered)
        return Neighbours(ids, distances, report)

    def _within_for(self, merging: Merging) -> float | NDArray[np.float64]:
        """Return the limit of each query in the next shard; products have none, as they are not bounded."""
        return math.inf if self.metric == "ip" else np.minimum(merging.limits, self.within)

    def by_shards(self, codes: CodesOfShards) -> Neighbours:
        """Search one shard after another, each query only within its k-th distance so far."""
        merging = Merging(len(self.queries), self.k)
        reports, first, blocks = [], 0, list(self.blocks)
        for rows, own in codes.shards:
            inside: list[NDArray[np.float16]] = []
            while sum(len(block) for block in inside) < rows:
                inside.append(blocks.pop(0))
            work = replace(
                self,
                blocks=inside,
                allowed=None if self.allowed is None else self.allowed[first : first + rows],
                within=self._within_for(merging) if first else self.within,
            )
            found = work.by_floats() if own is None else work.by_codes(own)
            merging.add(found.ids, found.distances, first)
            reports.append(found.report)
            first += rows
        report = Report(*total_counts(reports), answered=self.answered)
        return Neighbours(merging.ids, merging.distances, report)


def _worthwhile_threads(products: int) -> int:
    """Return how many threads to start for so many products of two numbers: starting one takes time too."""
    return min(usable_processors(), 1 + products // _PRODUCTS_A_THREAD)


def _is_sparse(allowed: NDArray[np.bool_] | None, n_queries: int) -> bool:
    if allowed is None or n_queries > _FEW_QUERIES:
        return False
    return int(np.count_nonzero(allowed)) < _SPARSE_SHARE * len(allowed)


def check_queries(queries: NDArray[Any]) -> NDArray[np.float32]:
    """Return queries as C-contiguous float32 (n, dim); each must have a direction.

    Raises
    ------
    InvalidArgument, Mismatch
        A query that is all zero or not finite; not rows of real numbers.
    """
    array = np.asarray(queries)
    if array.ndim != 2 or array.shape[1] == 0:
        raise Mismatch(f"queries have shape {array.shape}, expected (n, dim)")
    if array.dtype.kind not in "fiu":
        raise Mismatch(f"queries are {array.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are named below
        rows = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~(np.isfinite(rows).all(axis=1) & rows.any(axis=1)))
    if bad.size:
        kind = "all zero" if np.isfinite(rows[bad[0]]).all() else "not finite"
        raise InvalidArgument(f"query {bad[0]} is {kind}, so it has no direction")
    return rows


def _farthest(metric: Metric) -> float:
    return MAX_DISTANCE if metric == "cosine" else math.inf


def _check_within(within: float | None, metric: Metric) -> None:
    if within is None:
        return
    if metric == "ip":
        raise InvalidArgument(f"within is {within}: it limits cosine distances, the metric is ip")
    if not within >= 0:
        raise InvalidArgument(f"within is {within}, expected a distance of 0 or more")


def _check_codes(codes: AnyCodes | None, n_rows: int, dim: int, metric: Metric) -> None:
    if codes is None:
        return
    parts = [one for _, one in codes.shards] if isinstance(codes, CodesOfShards) else [codes]
    for own in parts:
        if own is not None and own.metric != metric:
            raise Mismatch(
                f"the codes are for the metric {own.metric}, the search is by {metric}: "
                "build the codes again"
            )
    if (codes.rows, codes.dim) != (n_rows, dim):
        got = f"{codes.rows} rows of dim {codes.dim}"
        raise Mismatch(
            f"the codes are of {got}, "
            f"the blocks of {n_rows} rows of dim {dim}: build the codes again"
        )
