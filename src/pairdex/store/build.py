"""Building a collection from parts, or adding parts to one; resumed by the same call.

The manifest is written last: readers see the collection as it was until the whole build is done,
and a build killed at any instant loses only the parts in hand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import get_args

from pairdex.arguments import StrPath, checked
from pairdex.encoders.first_use import record_of
from pairdex.encoders.model import what_it_knows
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.distance import Metric
from pairdex.parts.columns import Column
from pairdex.parts.layout import DEFAULT_TOWER, FoundParts, Tower, search_parts
from pairdex.parts.model_record import ModelRecord
from pairdex.parts.note import Note, read_note
from pairdex.parts.nsfw import NsfwRule
from pairdex.parts.numbers import Parts, numbers_of
from pairdex.parts.part import Part
from pairdex.parts.places import is_address, local_place
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.arrivals import Arrival, find_arrivals
from pairdex.store.build_notes import build_notes
from pairdex.store.doubts import check_order, check_tags
from pairdex.store.folder import claimed, make_folders, tidy
from pairdex.store.manifest import DEFAULT_METRIC, Manifest, PartEntry, write_manifest
from pairdex.store.plan import (
    Selection,
    check_additions,
    plan_additions,
    plan_collection,
    selection_of,
)
from pairdex.store.released_model import model_note, released_model
from pairdex.store.removed import read_removed, state_of
from pairdex.store.replaced import keep_removed, take_down
from pairdex.store.retype import retyped
from pairdex.store.staging import run_tasks
from pairdex.store.write_part import PartTask
from pairdex.work.executors import executor_for, seen_alike

__all__ = ["BuildOptions", "BuildReport", "build", "build_collection", "live_rows"]


@dataclass(frozen=True)
class BuildReport:
    """What the collection holds after a build.

    `rows` counts the rows that were not taken down, `added` those that this build brought, `replaced` those that it took down for newer ones,
    `skipped` the parts that it left out as they are not whole. `notes` are sentences on what one should
    know of the source.
    """

    rows: int
    rows_read: int
    dropped: dict[str, int]
    parts: int
    dim: int
    added: int
    seconds: float
    skipped: int = 0
    replaced: int = 0
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, manifest: Manifest, added: int, seconds: float, notes: Iterable[str] = ()
    ) -> BuildReport:
        """Report what a manifest says, `added` rows of which are new."""
        return cls(
            rows=manifest.rows,
            rows_read=manifest.rows_read,
            dropped=manifest.dropped,
            parts=len(manifest.parts),
            dim=manifest.dim,
            added=added,
            seconds=seconds,
            notes=list(notes),
        )


@dataclass(frozen=True)
class BuildOptions:
    """How a collection is built.

    Attributes
    ----------
    metadata
        The TSV of a bundle, where it is not the one beside it.
    replaced
        The numbers of parts that have changed: their old rows are taken down, the new ones added.
    skip_incomplete
        Leave out parts that are not whole, and count them, instead of refusing.
    link
        Share vectors with the released files where no row is dropped and nothing is converted.
    workers
        How many parts are written at once, each in a process of its own.
    cluster
        The address of a Ray cluster whose nodes write the parts, or `auto`.
    metric
        How searches compare vectors; None: as an existing collection does, by cosine in a new one.
    """

    metadata: Path | None = None
    replaced: frozenset[int] = frozenset()
    skip_incomplete: bool = False
    link: bool = False
    workers: int = 1
    cluster: str | None = None
    metric: Metric | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InvalidArgument(
                f"workers is {self.workers}, expected at least 1", field="workers"
            )
        if self.metric not in (None, *get_args(Metric)):
            expected = " or ".join(get_args(Metric))
            raise InvalidArgument(f"metric is {self.metric!r}, expected {expected}", field="metric")


@checked
def build(
    source: StrPath,
    collection: StrPath,
    *,
    parts: Parts | None = None,
    nsfw: NsfwRule | None = None,
    where: str | None = None,
    limit: int | None = None,
    subset: str | None = None,
    metadata: StrPath | None = None,
    tower: Tower = DEFAULT_TOWER,
    model: StrPath | None = None,
    metric: Metric | None = None,
    replace_parts: Parts = (),
    skip_incomplete: bool = False,
    link: bool = False,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a collection from parts, or add those it does not hold yet; resumed by the same call.

    Parameters
    ----------
    source
        A folder of parts in the layout of LAION-400M, LAION-2B-en, clip-retrieval or DataComp; a bundle
        of SISAP's (.h5), or a folder that holds one; or tables (.parquet) with a column of vectors. Or
        the address of a folder of numbered parts (s3://, gs://, az://, hf://, https://): they are
        fetched, verified and removed again, a few at a time.
    collection
        The folder of the collection, new or existing.
    parts
        Only the parts of these numbers: integers, or a text like `0-9,12`; all when None.
    nsfw
        `none` (the default) keeps all rows, `safe` those tagged UNLIKELY, `sisap` those with a tag
        other than NSFW, `sisap-dev` those not tagged NSFW.
    where
        A SQL predicate over the parts' columns.
    limit
        Stop when the collection has N rows.
    subset
        `sisap-10M` and its like: the parts and the NSFW rule of SISAP's subsets of LAION-2B-en.
    metadata
        The TSV of a bundle, where it is not the `meta-10M.tsv` beside it.
    tower
        Which of DataComp's two models to take.
    model
        The name or folder of the model that made the vectors; encoded parts and parts of a known
        release say it themselves.
    metric
        How searches compare vectors: `cosine` (the default), or `ip` for the inner product of vectors that
        are not normalised. Both store the vectors as they came. It is a property of the collection.
    replace_parts
        The numbers of parts whose files have changed, as `parts`: their old rows are taken down, the new
        ones added.
    skip_incomplete
        Leave out parts that are not whole, and count them, instead of refusing.
    link
        Share vectors with the released files where no row is dropped and nothing is converted.
    workers
        How many parts are written at once, each in a process of its own.
    cluster
        The address of a Ray cluster (host:port) whose nodes write the parts, or `auto`. All nodes must see
        both folders. A `limit` makes this process write all parts.
    progress
        Called with the step, the rows done and the rows in all.

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
    options = BuildOptions(
        metadata=None if metadata is None else local_place(metadata, field="metadata"),
        replaced=numbers_of(replace_parts) or frozenset(),
        skip_incomplete=skip_incomplete,
        link=link,
        workers=workers,
        cluster=cluster,
        metric=metric,
    )
    selection = selection_of(
        subset=subset, parts=numbers_of(parts), nsfw=nsfw, where=where, limit=limit, tower=tower
    )
    place = local_place(collection, field="collection")
    record = None if model is None else record_of(model)
    if is_address(os.fspath(source)) and not os.fspath(source).startswith("file:"):
        from pairdex.store.build_streamed import build_streamed  # noqa: PLC0415 - it uses this module

        return build_streamed(
            os.fspath(source), place, selection, model=record, options=options, progress=progress
        )
    return build_collection(
        local_place(source),
        place,
        selection=selection,
        model=record,
        options=options,
        now=datetime.now(timezone.utc),
        progress=at_step(progress, "building"),
    )


def build_collection(
    source: Path,
    collection: Path,
    *,
    selection: Selection,
    model: ModelRecord | None = None,
    options: BuildOptions | None = None,
    now: datetime | None = None,
    progress: StepProgress | None = None,
) -> BuildReport:
    """Build a collection from the parts in `source`, or add those it does not hold yet.

    `now` is kept with rows that are taken down, with its time zone.

    Raises
    ------
    PairdexError
        Bad parts, parts that do not fit the collection or have changed, another writer, or no room.
        What was there before is untouched; the same call goes on where this one stopped.
    """
    started = time.perf_counter()
    options, now = options or BuildOptions(), now or datetime.now(timezone.utc)
    source, collection = (seen_alike(one, options.cluster) for one in (source, collection))
    found = _search(source, selection, options)
    note = read_note(source) if source.is_dir() else Note()
    model = model or note.model or released_model(source, found.parts)
    _check_model(model, found.parts[0])
    with claimed(collection) as before:
        job = _planned(
            source,
            collection,
            before=before,
            parts=found.parts,
            selection=selection,
            model=model,
            options=options,
        )
        make_folders(collection, job.manifest)
        entries = job.run(note, options, progress)
        replaced = take_down(collection, before, entries, now)
        manifest = replace(job.manifest, parts=[*job.manifest.parts, *entries])
        if manifest != before:
            write_manifest(collection, manifest)
        carried = keep_removed(collection, manifest, now)
        tidy(collection, manifest, before)
    notes = [
        *carried,
        *found.skipped,
        *job.notes,
        *build_notes(found.parts, entries, manifest, selection),
        what_it_knows(manifest.model) if manifest.model else model_note(found.parts, collection),
    ]
    return replace(
        BuildReport.of(
            manifest,
            sum(e.rows for e in entries),
            time.perf_counter() - started,
            filter(None, notes),
        ),
        rows=live_rows(collection, manifest),
        skipped=len(found.skipped),
        replaced=replaced,
    )


def live_rows(collection: Path, manifest: Manifest) -> int:
    """Return the number of rows that were not removed."""
    has_removed = state_of(collection) is not None
    removed = read_removed(collection, manifest) if has_removed else None
    return manifest.rows - (0 if removed is None else removed.count)


def _search(source: Path, selection: Selection, options: BuildOptions) -> FoundParts:
    """Find the selected parts in `source`."""
    if selection.subset is not None:
        selection.subset.check_source(source)
    return search_parts(
        source,
        numbers=selection.parts,
        tower=selection.tower,
        metadata=options.metadata,
        skip_incomplete=options.skip_incomplete,
    )


@dataclass(frozen=True)
class _Job:
    """What is to be written: the manifest so far, and each new part with its columns."""

    source: Path
    collection: Path
    manifest: Manifest
    arrivals: list[Arrival]
    columns: list[list[Column]]
    selection: Selection
    notes: Sequence[str]

    def run(
        self, note: Note, options: BuildOptions, progress: StepProgress | None
    ) -> list[PartEntry]:
        """Write the new parts and return their entries."""
        first = len(self.manifest.parts)
        tasks = [
            PartTask(
                first + i,
                arrival.part,
                self.source,
                self.collection,
                columns,
                self.selection,
                note,
                options.link,
            )
            for i, (arrival, columns) in enumerate(zip(self.arrivals, self.columns, strict=True))
        ]
        folder = self.source if self.source.is_dir() else self.source.parent
        with executor_for(
            workers=options.workers,
            cluster=options.cluster if tasks else None,
            folders=(folder, self.collection),
        ) as executor:
            entries = run_tasks(tasks, executor, progress=progress)
        return [
            replace(entry, replaces=list(arrival.replaces))
            for entry, arrival in zip(
                entries, self.arrivals, strict=False
            )  # a limit ends them early
        ]


def _planned(
    source: Path,
    collection: Path,
    *,
    before: Manifest | None,
    parts: Sequence[Part],
    selection: Selection,
    model: ModelRecord | None,
    options: BuildOptions,
) -> _Job:
    """Choose and check the new parts, decide the columns, and widen earlier columns if needed."""
    if before is not None:
        check_additions(collection, before, parts, selection, model, metric=options.metric)
    arrivals = find_arrivals(
        parts,
        before,
        collection=collection,
        source=source,
        selection=selection,
        replaced=options.replaced,
    )
    new = [arrival.part for arrival in arrivals.new]
    if before is None:
        name, metric = collection.resolve().name, options.metric or DEFAULT_METRIC
        manifest, plan = plan_collection(name, new, selection, model, metric=metric)
    else:
        manifest, plan = plan_additions(collection, before, new, model)
    for part, columns in zip(new, plan.of_parts, strict=True):
        check_tags(part, columns, selection.nsfw)
        check_order(part, columns)
    if plan.of_earlier:
        manifest = retyped(collection, manifest, plan.of_earlier)
    left = _left(selection, before)
    return _Job(source, collection, manifest, arrivals.new, plan.of_parts, left, arrivals.notes)


def _left(selection: Selection, before: Manifest | None) -> Selection:
    """Return the selection with what is left of its limit, where it is not yet reached."""
    if selection.limit is None or before is None or before.rows >= selection.limit:
        return selection
    return replace(selection, limit=selection.limit - before.rows)


def _check_model(model: ModelRecord | None, part: Part) -> None:
    if model is not None and model["dim"] != part.dim:
        raise Mismatch(
            f"the model {model['name']} makes vectors of {model['dim']} dimensions, "
            f"{part.image.name} has {part.dim}: another model made them"
        )
