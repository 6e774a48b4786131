"""The package's functions: each is what the command of the same name does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pyarrow as pa
from numpy.typing import ArrayLike

from pairdex.collection import Collection
from pairdex.encoders.model import load_model
from pairdex.errors import FetchFailed, InvalidArgument
from pairdex.exports.folders import ExportReport
from pairdex.exports.formats import ExportOptions, Format, export_collection
from pairdex.indexes import have_codes
from pairdex.parts.layout import DEFAULT_TOWER, Tower
from pairdex.parts.nsfw import NsfwRule
from pairdex.projections.ceiling import recall_ceilings
from pairdex.projections.files import open_projection
from pairdex.projections.fitting import SketchMethod, Wish
from pairdex.projections.queries import read_for, write_projected
from pairdex.projections.verify import projection_checks
from pairdex.projections.write import ProjectReport, Steps, project_collection
from pairdex.releases.catalogue import Release, find_release, load_catalogue
from pairdex.releases.fetch import DEFAULT_JOBS, FetchReport
from pairdex.releases.fetch import fetch as fetch_files
from pairdex.sql.session import DEFAULT_MEMORY, selecting
from pairdex.store.build import BuildReport, build_collection
from pairdex.store.manifest import ModelRecord
from pairdex.store.plan import selection_of
from pairdex.store.staging import Progress
from pairdex.store.store import Kind, Store
from pairdex.store.verify import VerifyReport
from pairdex.store.verify import verify as verify_store
from pairdex.training.features import Config
from pairdex.transform.dedup import (
    DEFAULT_KEEP,
    DEFAULT_THRESHOLD,
    DedupReport,
    DedupRule,
    Keep,
)
from pairdex.transform.dedup import dedup as make_dedup
from pairdex.transform.remove import RemoveReport, read_ids, read_urls, remove_rows
from pairdex.transform.sample import DEFAULT_SEED
from pairdex.transform.subset import SubsetRule
from pairdex.transform.subset import subset as make_subset

__all__ = [
    "build",
    "dedup",
    "export",
    "fetch",
    "open",
    "project",
    "releases",
    "remove",
    "sql",
    "subset",
    "verify",
]


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
    nsfw: NsfwRule | None = None,
    where: str | None = None,
    limit: int | None = None,
    subset: str | None = None,
    metadata: str | Path | None = None,
    tower: Tower = DEFAULT_TOWER,
    model: str | Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a collection from parts, or add those it does not hold yet; resumed by the same call.

    Parameters
    ----------
    source
        A folder of parts in the layout of LAION-400M, LAION-2B-en, clip-retrieval or DataComp; or a
        bundle of SISAP's (.h5), or a folder that holds one.
    collection
        The folder of the collection, new or existing.
    parts
        Only the parts of these numbers; all when None.
    nsfw
        `none` (the default) keeps all rows, `safe` those tagged UNLIKELY, `sisap` those with a tag
        other than NSFW, `sisap-dev` those not tagged NSFW.
    where
        A SQL predicate over the parts' columns.
    limit
        Stop when the collection has so many rows.
    subset
        `sisap-10M` and its like: the parts and the NSFW rule of SISAP's subsets of LAION-2B-en.
    metadata
        The TSV of a bundle, where it is not the `meta-10M.tsv` beside it.
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
        Rows kept and dropped, by reason; notes on what one should know of the source.

    Raises
    ------
    PairdexError
        Parts that are damaged or do not fit each other or the collection; a full disk; another
        writer. What was there before is untouched.
    """
    return build_collection(
        Path(source),
        Path(collection),
        selection=selection_of(
            subset=subset, parts=parts, nsfw=nsfw, where=where, limit=limit, tower=tower
        ),
        metadata=None if metadata is None else Path(metadata),
        model=None if model is None else _record(model),
        workers=workers,
        progress=progress,
    )


def export(
    collection: str | Path,
    dest: str | Path,
    form: Format,
    *,
    config: Config | None = None,
    rows: int | None = None,
    vectors: Sequence[Kind] | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write a collection to the folder `dest` in the format of another tool; resumed by the same call.

    Parameters
    ----------
    form
        `laion` (parts again), `parquet`, `webdataset`, `tfds`, `sisap` (HDF5 and TSV) or `tsv`.
    config
        Of `tfds`: `images` (default) or `embeddings`.
    rows
        Of `tfds` and `webdataset`: at most so many rows a file.
    vectors
        Of `parquet`: which vectors to write, all by default.
    progress
        Called with the rows done and the rows in all.

    Returns
    -------
    ExportReport
        Rows and files written, rows left out by reason.

    Raises
    ------
    PairdexError
        The folder is there already; an option that the format does not have; an extra that is not
        installed; a damaged collection; a full disk.
    """
    options = ExportOptions(config, rows, None if vectors is None else tuple(vectors))
    return export_collection(Path(collection), Path(dest), form, options, progress)


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
    store = Store(Path(collection), mapped=False)
    return make_subset(store, Path(new), rule, workers=workers, progress=progress)


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
    steps: Steps | None = None,
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
    steps
        Called with the name of a step, the rows done and the rows in all.

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
        codes = have_codes(
            store, on, progress=(lambda *done: steps("making codes", *done)) if steps else None
        )
    out = None if report is None else Path(report)
    return make_dedup(store, Path(new), rule, out=out, codes=codes, workers=workers, steps=steps)


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


def project(
    collection: str | Path,
    name: str,
    *,
    model: str | Path | None = None,
    fit_rows: int | None = None,
    method: SketchMethod | None = None,
    seed: int | None = None,
    queries: str | Path | None = None,
    out: str | Path | None = None,
    ceiling: bool = False,
    progress: Steps | None = None,
) -> ProjectReport:
    """Project all vectors of a collection, or those that are not yet; resumed by the same call.

    Parameters
    ----------
    name
        `pca32`, `pca96`, PCA of another number of components `pcaN`, or `hamming`: sketches of 1,024
        bits.
    model
        A file to take the model from; without it the model that the projection has is kept, or one
        is fitted.
    fit_rows
        Fit to so many rows at equal distances; None: to all, for `rotations` to 65,536.
    method, seed
        How sketches are made: `rotations` (default) or `binwalk`, the SISAP organisers', and the seed
        of what they draw at random (0).
    queries, out
        A file of query vectors to project with the same model, and the HDF5 file for the result.
    ceiling
        Report how much of the exact neighbours brute force in the projection finds, of `queries` or,
        without them, of up to 1,000 of the collection's rows.
    progress
        Called with what is being done, the rows done and the rows in all.

    Raises
    ------
    PairdexError
        A wrong name or model, too few rows, another writer, no room.
    """
    if queries is None and out is not None:
        raise InvalidArgument("there are no queries to write to out", field="queries")
    if queries is not None and out is None and not ceiling:
        raise InvalidArgument("queries go to a file or give a ceiling: name out", field="out")
    folder = Path(collection)
    vectors = None if queries is None else read_for(Store(folder), queries, out)
    wish = Wish(None if model is None else Path(model), fit_rows, method, seed)
    report = project_collection(folder, name, wish=wish, progress=progress)
    if vectors is not None and out is not None:
        write_projected(open_projection(Store(folder), name), vectors, Path(out))
    if not ceiling:
        return report
    store = Store(folder)
    meter = None if progress is None else partial(progress, "searching")
    ceilings = recall_ceilings(store, open_projection(store, name), vectors, progress=meter)
    return replace(report, recall_ceiling=ceilings)


def verify(
    collection: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Read all files of a collection again and compare their sizes and checksums.

    Parameters
    ----------
    progress
        Called with the bytes done and the bytes in all.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        There is no collection, or the manifest itself is damaged or of a newer format.
    """
    checks = list(projection_checks(Path(collection)))
    return verify_store(collection, derived=checks, progress=progress)


def fetch(
    release: str,
    folder: str | Path,
    *,
    parts: frozenset[int] | None = None,
    files: Sequence[str] = (),
    jobs: int = DEFAULT_JOBS,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Fetch files of a release into a folder, whole and verified; resumed by the same call.

    Parameters
    ----------
    release
        A name of the catalogue, or an address: http(s), file, and what fsspec knows.
    folder
        New or existing; parts lie there as `build` finds them.
    parts
        Only the parts of these numbers; all when None.
    files
        Only files that fit one of these names or glob patterns; all when empty.
    jobs
        How many files are fetched at once, from one host at most 4.
    mirror
        The address of a folder to fetch the release from instead.
    progress
        Called with the bytes that are there and the bytes in all, as far as they are known.

    Returns
    -------
    FetchReport
        Files, bytes, and how many were compared with a published checksum.

    Raises
    ------
    FetchFailed
        Some files could not be fetched; all others have been.
    WriteFailed
        A full disk, or a place that cannot be written.
    InvalidArgument
        No such release, part or file.
    """
    report = fetch_files(
        release,
        Path(folder),
        parts=parts,
        files=files,
        jobs=jobs,
        mirror=mirror,
        progress=progress,
    )
    if report.failed:
        raise FetchFailed(report.complaint())
    return report


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
        All rows; `pairdex.sql.session.selecting` gives them a batch at a time.

    Raises
    ------
    InvalidArgument
        Not one SELECT, or it fails.
    """
    opened = collection if isinstance(collection, Collection) else Collection.open(collection)
    with selecting(opened, statement, memory=memory) as rows:
        return rows.read_all()


def _record(model: str | Path) -> ModelRecord:
    loaded = load_model(model)
    return loaded.record()
