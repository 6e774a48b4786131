"""The package's functions: each is what the command of the same name does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from numpy.typing import ArrayLike

from pairdex.collection import Collection
from pairdex.encoders.model import load_model
from pairdex.parts.layout import DEFAULT_TOWER, Tower
from pairdex.parts.nsfw import DEFAULT_RULE, NsfwRule
from pairdex.releases.catalogue import Release, find_release, load_catalogue
from pairdex.store.build import BuildReport, build_collection
from pairdex.store.manifest import ModelRecord
from pairdex.store.plan import Selection
from pairdex.store.staging import Progress
from pairdex.store.store import Store
from pairdex.transform.remove import RemoveReport, read_ids, read_urls, remove_rows
from pairdex.transform.sample import DEFAULT_SEED
from pairdex.transform.subset import SubsetRule
from pairdex.transform.subset import subset as make_subset

__all__ = ["build", "open", "releases", "remove", "subset"]


def open(  # noqa: A001 - pairdex.open, as gzip.open
    path: str | Path, *, model: str | Path | None = None, use_codes: bool = True
) -> Collection:
    """Open the collection in the folder `path`; see `Collection.open`."""
    return Collection.open(path, model=model, use_codes=use_codes)


def build(
    source: str | Path,
    collection: str | Path,
    *,
    parts: frozenset[int] | None = None,
    nsfw: NsfwRule = DEFAULT_RULE,
    where: str | None = None,
    limit: int | None = None,
    tower: Tower = DEFAULT_TOWER,
    model: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a collection from parts, or add those it does not hold yet; resumed by the same call.

    Parameters
    ----------
    source
        A folder of parts in the layout of LAION-400M, LAION-2B-en, clip-retrieval or DataComp.
    collection
        The folder of the collection, new or existing.
    parts
        Only the parts of these numbers; all when None.
    nsfw
        `none` keeps all rows, `safe` those tagged UNLIKELY, `sisap` those with a tag other than
        NSFW, `sisap-dev` those not tagged NSFW.
    where
        A SQL predicate over the parts' columns.
    limit
        Stop when the collection has so many rows.
    tower
        Which of DataComp's two models to take.
    model
        The name or folder of the model that made the vectors; encoded parts say it themselves.
    workers
        How many parts are written at once, each in a process of its own.
    progress
        Called with the rows done and the rows in all.

    Returns
    -------
    BuildReport
        Rows kept and dropped, by reason.

    Raises
    ------
    PairdexError
        Parts that are damaged or do not fit each other or the collection; a full disk; another
        writer. What was there before is untouched.
    """
    return build_collection(
        Path(source),
        Path(collection),
        selection=Selection(parts, nsfw, where, limit, tower),
        model=None if model is None else _record(model),
        workers=workers,
        progress=progress,
    )


def releases(name: str | None = None) -> list[Release]:
    """Return the releases of the catalogue, or the one of this name.

    Raises
    ------
    InvalidArgument
        No release is called so; the nearest name is suggested.
    """
    return list(load_catalogue().values()) if name is None else [find_release(name)]


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
        Called with the rows done and the rows in all.

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
    return make_subset(Store(Path(collection)), Path(new), rule, workers=workers, progress=progress)


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


def _record(model: str | Path) -> ModelRecord:
    loaded = load_model(model)
    return loaded.record()
