"""New collections of some rows of another, rows taken down, questions in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
from numpy.typing import ArrayLike

from pairdex.collection import Collection
from pairdex.curate.dedup import (
    DEFAULT_KEEP,
    DEFAULT_THRESHOLD,
    DedupReport,
    DedupRule,
    Keep,
)
from pairdex.curate.dedup import dedup as make_dedup
from pairdex.curate.remove import RemoveReport, read_ids, read_urls, remove_rows
from pairdex.curate.subset import SubsetRule
from pairdex.curate.subset import subset as make_subset
from pairdex.derived.codes import have_codes
from pairdex.metadata_sql.session import DEFAULT_MEMORY, selecting
from pairdex.progress import Progress, at_step
from pairdex.store.build import BuildReport
from pairdex.store.fields import DEFAULT_SEED
from pairdex.store.store import Kind, Store

__all__ = ["dedup", "remove", "sql", "subset"]


def subset(
    collection: str | Path,
    new: str | Path,
    *,
    parts: frozenset[int] | None = None,
    where: str | None = None,
    without: str | Path | None = None,
    sample: int | None = None,
    seed: int = DEFAULT_SEED,
    limit: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> BuildReport:
    """Make a new collection of some rows of another; resumed by the same call.

    The options are applied in their order here. Rows get new ids in the old order; their vectors
    and columns stay as they are.

    Parameters
    ----------
    parts
        Only the rows of these released parts; all when None.
    where
        A SQL predicate over the columns and `id`.
    without
        A file of ids to leave out: .h5 as `pairdex queries` writes it, .npy or .txt.
    sample
        Draw so many rows at random, uniformly and without replacement.
    seed
        Another one draws other rows; with the same one a smaller sample is within a larger.
    limit
        Keep only the first so many rows.
    workers
        How many parts are written at once, each in a process of its own.
    progress
        Called with the step, the rows done and the rows in all.

    Returns
    -------
    BuildReport
        What the new collection holds.

    Raises
    ------
    PairdexError
        No row is left; a wrong option; a damaged file; `new` is something else already; a full disk.
    """
    rule = SubsetRule(
        parts=parts,
        where=where,
        without=None if without is None else Path(without),
        sample=sample,
        seed=seed,
        limit=limit,
    )
    store = Store(Path(collection), mapped=False)
    return make_subset(
        store, Path(new), rule, workers=workers, progress=at_step(progress, "writing")
    )


def dedup(
    collection: str | Path,
    new: str | Path,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    keep: Keep = DEFAULT_KEEP,
    on: Kind = "image",
    report: str | Path | None = None,
    use_codes: bool = True,
    workers: int = 1,
    progress: Progress | None = None,
) -> DedupReport:
    """Make a new collection without near-duplicates; resumed by the same call.

    A row is dropped if, and only if, a row that was kept before it is within the threshold.

    Parameters
    ----------
    threshold
        The distance, 1 - cos, up to which rows are near-duplicates.
    keep
        Which row of several is kept, as rows are visited in this order: `first` by id, `largest` by
        width times height, `similar` by the column `similarity`.
    on
        Which vectors are compared.
    report
        A Parquet file to write: id, kept_id and distance of every dropped row.
    use_codes
        Whether to use the codes in `indexes/`, built first if need be: the same answer, sooner.
    workers
        How many parts of the new collection are written at once.
    progress
        Called with the step, the rows done and the rows in all.

    Returns
    -------
    DedupReport
        Rows kept and dropped, and their groups.

    Raises
    ------
    PairdexError
        A wrong option; a damaged file; `new` is something else already; a full disk.
    """
    rule = DedupRule(threshold, keep, on)
    store = Store(Path(collection))
    codes = None
    if use_codes:
        store.check_kind(on)
        codes = have_codes(store, on, progress=at_step(progress, "making codes"))
    out = None if report is None else Path(report)
    return make_dedup(
        store, Path(new), rule, out=out, codes=codes, workers=workers, progress=progress
    )


def remove(
    collection: str | Path,
    *,
    ids: ArrayLike | Path | None = None,
    urls: Sequence[str] | Path | None = None,
    where: str | None = None,
    reason: str,
) -> RemoveReport:
    """Remove the rows that are named in exactly one way: no search and no page shows them any more.

    Opened collections and running services notice at once. Ids do not change, and the vectors stay in
    the files.

    Parameters
    ----------
    ids
        Integers, or a file of them: .npy, .csv (its column `id`, or its only one), or one a line.
    urls
        Compared as they are; a file has one a line. All rows of a URL are removed.
    where
        A SQL predicate over the columns and `id`.
    reason
        One line, kept with the rows and the time.

    Returns
    -------
    RemoveReport
        How many rows were removed now, had been before, and which URLs no row has.

    Raises
    ------
    PairdexError
        An id out of range, a filter that is none, another writer, no room: nothing was removed.
    """
    return remove_rows(
        Path(collection),
        ids=read_ids(ids) if isinstance(ids, Path) else ids,
        urls=read_urls(urls) if isinstance(urls, Path) else urls,
        where=where,
        reason=reason,
        now=datetime.now(timezone.utc),
    )


def sql(
    collection: str | Path | Collection, statement: str, *, memory: str = DEFAULT_MEMORY
) -> pa.Table:
    """Run one SELECT over a collection's metadata, read only.

    Parameters
    ----------
    statement
        DuckDB's SQL. The table is `pairs`: `id`, `part`, `row` and all other columns.
        `nearest('a red car', 100)` is the table of the rows nearest to a text, with `distance`;
        `distance(id, 'a red car')` a row's distance.
    memory
        What it may use, as `2GB`.

    Returns
    -------
    pyarrow.Table
        All rows; `pairdex.metadata_sql.session.selecting` gives them a batch at a time.

    Raises
    ------
    InvalidArgument
        Not one SELECT, or it fails.
    """
    opened = collection if isinstance(collection, Collection) else Collection.open(collection)
    with selecting(opened, statement, memory=memory) as rows:
        return rows.read_all()
