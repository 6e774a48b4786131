"""Convert results to the gold standard's form: queries as rows, 0-based ids, -1 for missing.

Files may store queries as rows or columns. Their ids may count from 1, as SISAP's do, or from 0.
Both are inferred from the data. A note reports each deviation from the rule.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, Mismatch
from pairdex.evaluation.recall import shared
from pairdex.files.neighbour_files import FIRST_ID, NeighbourTable, ascend
from pairdex.reference.read_gold import Gold
from pairdex.wording import counted

__all__ = ["aligned"]

# Values that programs write for no neighbour: the largest of int32, uint32 and int64.
_LARGEST = np.array([2**31 - 1, 2**32 - 1, 2**63 - 1])
_LISTED = 3  # such values in a note
_CLEARLY = 4.0  # standard deviations that separate two agreement counts beyond chance


def aligned(table: NeighbourTable, gold: Gold) -> tuple[NDArray[np.int64], list[str]]:
    """Return ids (n, k) comparable with the gold standard's, and notes on what was inferred.

    Raises
    ------
    Mismatch, DamagedFile
        The results have another number of queries, or ids outside the collection.
    """
    notes: list[str] = []
    table = _marked_missing(table, notes)
    knns, dists = table.knns, table.dists
    if _is_turned(table, gold, notes):
        knns, dists = knns.T, None if dists is None else dists.T
    knns = _without_padding(knns, gold, notes)
    first = _first_id(table, knns, dists, gold, notes)
    ids = np.where(knns >= max(first, 0), knns - first, -1)
    if gold.rows is not None and ids.max(initial=-1) >= gold.rows:
        raise DamagedFile(
            f"{table.path} has the id {knns.max():,} in knns, the collection of {gold.path} has "
            f"{counted(gold.rows, 'row')}: the results are of another collection"
        )
    if gold.is_graph:
        ids = _without_self(ids, notes)
    return ids, notes


def _without_self(ids: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    """Return the neighbours of all rows without the rows themselves, the others moved up."""
    is_itself = ids == np.arange(len(ids))[:, None]
    if not is_itself.any():
        return ids
    notes.append("self-references removed")
    order = np.argsort(is_itself, axis=1, kind="stable")
    moved = np.take_along_axis(np.where(is_itself, np.int64(-1), ids), order, axis=1)
    return np.asarray(moved)


def _marked_missing(table: NeighbourTable, notes: list[str]) -> NeighbourTable:
    """Return a table with -1 for ids that no row can have: negative ones, and the largest integers."""
    is_padding = (table.knns < 0) | np.isin(table.knns, _LARGEST)
    others = np.unique(table.knns[is_padding & (table.knns != -1)])
    if not len(others):
        return table
    listed = ", ".join(f"{value:,}" for value in others[:_LISTED])
    more = ", …" if len(others) > _LISTED else ""
    notes.append(f"{listed}{more} taken to mean no neighbour")
    return replace(table, knns=np.where(is_padding, np.int64(-1), table.knns))


def _without_padding(knns: NDArray[np.int64], gold: Gold, notes: list[str]) -> NDArray[np.int64]:
    """Return the ids with -1 for a number beyond all rows that fills the ends of rows.

    Some programs write the number of rows for no neighbour, or one more.
    """
    if gold.rows is None:
        return knns
    is_last = knns == gold.rows  # also the last row, if ids count from 1; but that occurs once
    beyond = (knns > gold.rows) | (is_last & (is_last.sum(axis=1, keepdims=True) > 1))
    values = np.unique(knns[beyond])
    if len(values) != 1 or not _stands_at_ends(knns == values[0]):
        return knns
    notes.append(f"{values[0]:,} taken to mean no neighbour: it fills the ends of rows")
    return np.where(knns == values[0], np.int64(-1), knns)


def _stands_at_ends(marked: NDArray[np.bool_]) -> bool:
    """Return whether nothing unmarked follows a marked value in a row, and some row begins otherwise."""
    return not ((marked[:, :-1] & ~marked[:, 1:]).any() or marked[:, 0].all())


def _is_turned(table: NeighbourTable, gold: Gold, notes: list[str]) -> bool:
    """Return whether queries are columns, by their number, or by ascending distances if n is k."""
    rows, columns = table.knns.shape
    if gold.n not in (rows, columns):
        raise Mismatch(
            f"{table.path} has knns of shape ({rows:,}, {columns:,}), {gold.path} has "
            f"{counted(gold.n, 'query')}: the results are of other queries"
        )
    if rows != columns:
        if rows != gold.n:
            notes.append("transposed: (k, n) instead of (n, k)")
        return bool(rows != gold.n)
    if table.dists is not None and ascend(table.dists, 1) != ascend(table.dists, 0):
        turned, why = ascend(table.dists, 0), "as distances ascend along them"
    else:
        by_row, by_column = (_agreement(knns, gold) for knns in (table.knns, table.knns.T))
        turned, why = by_column > by_row, "as they agree with the gold standard"
    notes.append(f"n = k = {rows:,}: {'columns' if turned else 'rows'} read as queries, {why}")
    return turned


def _agreement(knns: NDArray[np.int64], gold: Gold) -> int:
    return max(_hits(knns - first, gold) for first in (0, 1))


def _hits(ids: NDArray[np.int64], gold: Gold) -> int:
    """Count the ids that are among the same number of nearest rows."""
    return int(shared(ids, gold.ids[:, : ids.shape[1]]).sum())


def _first_id(
    table: NeighbourTable,
    knns: NDArray[np.int64],
    dists: NDArray[np.float32] | None,
    gold: Gold,
    notes: list[str],
) -> int:
    """Return the number of the first row; add a note unless the case is clear."""
    said = table.facts.get(FIRST_ID)
    if said in (0, 1):
        return int(said)
    if gold.rows is not None and knns.max(initial=0) == gold.rows:
        return 1  # a 0-based file cannot hold this id
    if (knns == 0).any():
        return _meaning_of_zero(knns, dists, gold, notes)
    hits = {first: _hits(knns - first, gold) for first in (0, 1, 2)}
    if _is_clear(hits[0], hits[1]):
        notes.append("ids assumed to count from 0: they hold no 0, but agree better that way")
        return 0
    if gold.counts_from is None and _is_clear(hits[2], hits[1]):
        notes.append(
            "the gold standard assumed to count from 0: it holds no 0, but agrees better that way"
        )
        return 2
    return 1


def _meaning_of_zero(
    knns: NDArray[np.int64],
    dists: NDArray[np.float32] | None,
    gold: Gold,
    notes: list[str],
) -> int:
    """Decide whether 0 is the first row, or a missing neighbour in 1-based ids."""
    zeros = knns == 0
    # Padding repeats at the end of a row; a real id occurs once, at any position.
    only_last = not (zeros[:, :-1] & ~zeros[:, 1:]).any()
    if only_last and zeros.sum(axis=1).max() > 1:
        first, why = 1, "it fills the ends of rows"
    elif dists is not None and not np.isfinite(dists[zeros]).any():
        first, why = 1, "it has no distance"
    elif not only_last:
        first, why = 0, "it comes before other ids"
    else:
        from_0, from_1 = (_hits(knns - first, gold) for first in (0, 1))
        first, why = int(from_1 > from_0), "they agree with the gold standard that way"
    if first == 0:
        notes.append(f"ids assumed to count from 0: there is a 0, and {why}")
    else:
        notes.append(f"ids assumed to count from 1, 0 for no neighbour: {why}")
    return first


def _is_clear(hits: int, others: int) -> bool:
    """Return whether one agreement count is more than twice another, beyond chance."""
    return hits > 2 * others and hits - others > _CLEARLY * (hits + others) ** 0.5
