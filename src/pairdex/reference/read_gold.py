"""Read gold standards: pairdex's, SISAP's, and files that are transposed or count from 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pairdex.arguments import StrPath
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.files.neighbour_files import FIRST_ID, Fact, NeighbourTable, ascend, read_neighbours
from pairdex.wording import counted

__all__ = ["WITHOUT_SELF", "Gold", "read_gold"]

WITHOUT_SELF = "without_self"  # the attribute of our gold standards of all rows


@dataclass(frozen=True)
class Gold:
    """The exact nearest rows of queries, in one form for every file format.

    Attributes
    ----------
    path
        The file, with `:GROUP` if a group was given.
    ids
        (n, k) int64, 0-based, distinct in each row.
    distances
        (n, k) float32, ascending.
    facts
        Attributes of the file: `collection_checksum`, `queries_checksum`, `kind`, ….
    notes
        Sentences about what was inferred from the data.
    kinds
        The kind of each query, (n,), if the file has a dataset `kind`.
    counts_from
        The number of the first row, if the file states or shows it. None if it is assumed to be 1.
    is_graph
        True if its queries are all rows: the neighbours of each row without the row itself. A row
        without neighbours, as a removed one, does not count.
    """

    path: str
    ids: NDArray[np.int64]
    distances: NDArray[np.float32]
    facts: dict[str, Fact]
    notes: tuple[str, ...] = ()
    kinds: NDArray[np.str_] | None = None
    counts_from: int | None = None
    is_graph: bool = False

    @property
    def n(self) -> int:
        """The number of queries."""
        return len(self.ids)

    @property
    def k(self) -> int:
        """The number of neighbours per query."""
        return int(self.ids.shape[1])

    @property
    def rows(self) -> int | None:
        """The number of ids in the collection, including removed rows, if the file states it."""
        rows = self.facts.get("ids", self.facts.get("rows"))
        if isinstance(rows, int):
            return rows
        return self.n if self.is_graph else None

    def check_k(self, k: int) -> None:
        """Raise InvalidArgument unless the file has k neighbours of each query."""
        if not 1 <= k <= self.k:
            raise InvalidArgument(
                f"k is {k:,}, {self.path} knows {counted(self.k, 'neighbour')} of each query: "
                f"expected 1 to {self.k:,}",
                field="k",
            )


def read_gold(source: StrPath, *, n: int | None = None) -> Gold:
    """Read a gold standard or `FILE:GROUP`; convert transposed and 0-based files.

    Parameters
    ----------
    n
        The number of queries, if the caller knows it.

    Raises
    ------
    MissingFile, UnsupportedFormat, DamagedFile
        The file is missing or is not a gold standard; it holds NaN, ids outside the collection, or
        distances that do not ascend.
    Mismatch
        The file has another number of queries.
    """
    table = read_neighbours(source)
    if table.dists is None:
        raise DamagedFile(f"{table.path} has knns but no dists: it is not a gold standard")
    if 0 in table.knns.shape:
        raise DamagedFile(f"{table.path} has knns of shape {table.knns.shape}: it holds nothing")
    if np.isnan(table.dists).any():
        raise DamagedFile(
            f"{np.count_nonzero(np.isnan(table.dists)):,} of the distances of {table.path} are NaN; "
            "make or fetch it again"
        )
    notes = []
    stored = table.dists
    if _descends(stored):
        stored = -stored
        notes.append("its dists descend: they are taken to be similarities")
    turned = _is_turned(table, stored, n)
    knns, dists = (table.knns.T, stored.T) if turned else (table.knns, stored)
    knns, dists = np.ascontiguousarray(knns), np.ascontiguousarray(dists)
    base = _base(table, knns)
    if turned:
        notes.append("it is transposed: (k, n) instead of (n, k)")
    if base == 0:
        notes.append("it counts from 0 instead of 1")
    gold = Gold(
        path=table.path,
        ids=knns - (1 if base is None else base),
        distances=dists,
        facts=table.facts,
        notes=tuple(notes),
        kinds=table.kinds,
        counts_from=base,
    )
    if table.facts.get(WITHOUT_SELF):
        gold = replace(gold, is_graph=True)
    _check(gold, n)
    return _without_self(gold)


def _descends(dists: NDArray[np.float32]) -> bool:
    """Return whether values are similarities: they descend along an axis and ascend along none."""
    return not (ascend(dists, 1) or ascend(dists, 0)) and (ascend(-dists, 1) or ascend(-dists, 0))


def _without_self(gold: Gold) -> Gold:
    """Return the neighbours of all rows without the rows themselves; another gold standard as it is.

    The queries are all rows if most rows are among their own neighbours and no id exceeds their number.
    Where many rows are equal, a row may be missing from its own neighbours; its last one is dropped.
    """
    if gold.is_graph or gold.k < 2 or gold.ids.max() >= gold.n:
        return gold
    if gold.facts.get("rows", gold.n) != gold.n:
        return gold
    is_itself = gold.ids == np.arange(gold.n)[:, None]
    has_itself = is_itself.any(axis=1)
    if 2 * np.count_nonzero(has_itself) <= gold.n:
        return gold
    is_itself[~has_itself, -1] = True
    shape = (gold.n, gold.k - 1)
    return replace(
        gold,
        ids=gold.ids[~is_itself].reshape(shape),
        distances=gold.distances[~is_itself].reshape(shape),
        notes=(
            *gold.notes,
            f"its queries are all rows: self-references removed, {shape[1]} are left",
        ),
        is_graph=True,
    )


def _is_turned(table: NeighbourTable, dists: NDArray[np.float32], n: int | None) -> bool:
    """Return whether queries are columns, by the number of queries, then by ascending distances."""
    rows, columns = dists.shape
    if n is not None and rows != columns and n in dists.shape:
        return bool(n == columns)
    by_row, by_column = ascend(dists, 1), ascend(dists, 0)
    if not by_row and not by_column:
        raise DamagedFile(
            f"{table.path} has distances that ascend neither along its rows nor its columns: "
            "it is not a gold standard"
        )
    return not by_row


def _base(table: NeighbourTable, knns: NDArray[np.int64]) -> int | None:
    """Return the number of the first row if the file states or shows it."""
    said = table.facts.get(FIRST_ID)
    if said in (0, 1):
        return int(said)
    # A gold standard has no gaps, so a 0 in it is a row.
    return 0 if (knns == 0).any() else None


def _check(gold: Gold, n: int | None) -> None:
    if n is not None and gold.n != n:
        raise Mismatch(
            f"{gold.path} is of {counted(gold.n, 'query')}, expected {n:,}: it is of others"
        )
    is_row = gold.ids[:, 0] >= 0 if gold.is_graph else np.ones(gold.n, np.bool_)
    if not is_row.any():
        raise DamagedFile(f"{gold.path} has no neighbours of any row: it is not a gold standard")
    lowest, highest = int(gold.ids[is_row].min()), int(gold.ids[is_row].max())
    if lowest < 0 or (gold.rows is not None and highest >= gold.rows):
        wrong = lowest if lowest < 0 else highest
        first = 0 if gold.counts_from == 0 else 1
        most = "" if gold.rows is None else f" to {gold.rows - 1 + first:,}"
        raise DamagedFile(
            f"{gold.path} has the id {wrong + first:,}, which is not a row: expected {first}{most}"
        )
    ordered = np.sort(gold.ids[is_row], axis=1)
    twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(twice):
        raise DamagedFile(
            f"{gold.path} names a row twice among the neighbours of query {twice[0]:,}: "
            "it is not a gold standard"
        )
    if gold.kinds is not None and len(gold.kinds) != gold.n:
        raise DamagedFile(
            f"{gold.path} has {len(gold.kinds):,} kinds for {counted(gold.n, 'query')}: it is damaged"
        )
