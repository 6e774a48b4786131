"""Building a collection from parts, or adding parts to one; resumed by the same call.

The manifest is written last: readers see the collection as it was until the whole build is done,
and a build killed at any instant loses only the parts in hand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.encoders.model import load_model, what_it_knows
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.parts.bundle import BundleVectors
from pairdex.parts.layout import DEFAULT_TOWER, Part, Parts, Tower, find_parts, numbers_of
from pairdex.parts.model_record import ModelRecord
from pairdex.parts.note import Note, read_note
from pairdex.parts.nsfw import NsfwRule
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.folder import claimed, make_folders, tidy
from pairdex.store.manifest import Manifest, write_manifest
from pairdex.store.plan import (
    Selection,
    new_parts,
    plan_additions,
    plan_collection,
    selection_of,
)
from pairdex.store.staging import run_tasks
from pairdex.store.write_part import PartTask

__all__ = ["BuildReport", "build", "build_collection"]


@dataclass(frozen=True)
class BuildReport:
    """What the collection holds after a build.

    `added` is what this build brought; `notes` are sentences on what one should know of the source.
    """

    rows: int
    rows_read: int
    dropped: dict[str, int]
    parts: int
    dim: int
    added: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, manifest: Manifest, added: int, seconds: float, notes: Sequence[str] = ()
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
        The name or folder of the model that made the vectors; encoded parts say it themselves.
    workers
        How many parts are written at once, each in a process of its own.
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
    return build_collection(
        Path(source),
        Path(collection),
        selection=selection_of(
            subset=subset, parts=numbers_of(parts), nsfw=nsfw, where=where, limit=limit, tower=tower
        ),
        metadata=None if metadata is None else Path(metadata),
        model=None if model is None else load_model(model).record(),
        workers=workers,
        progress=at_step(progress, "building"),
    )


def build_collection(
    source: Path,
    collection: Path,
    *,
    selection: Selection,
    model: ModelRecord | None = None,
    metadata: Path | None = None,
    workers: int = 1,
    progress: StepProgress | None = None,
) -> BuildReport:
    """Build a collection from the parts in `source`, or add those it does not hold yet.

    `metadata` is the TSV of a bundle, where it is not the one beside it.

    Raises
    ------
    PairdexError
        Bad parts, parts that do not fit the collection, another writer, or no room. What was
        there before is untouched; the same call goes on where this one stopped.
    """
    started = time.perf_counter()
    if workers < 1:
        raise InvalidArgument(f"workers is {workers}, expected at least 1", field="workers")
    if selection.subset is not None:
        selection.subset.check_source(source)
    parts = find_parts(source, numbers=selection.parts, tower=selection.tower, metadata=metadata)
    note = read_note(source) if source.is_dir() else Note()
    model = model or note.model
    _check_model(model, parts[0])
    with claimed(collection) as before:
        new = new_parts(parts, before, source, selection.limit)
        if before is None:
            name = collection.resolve().name
            manifest, columns = plan_collection(name, new, selection, model)
        else:
            manifest, columns = plan_additions(collection, before, parts, selection, model)
        left = _left(selection, before)
        make_folders(collection, manifest)
        tasks = [
            PartTask(len(manifest.parts) + i, part, source, collection, columns, left, note)
            for i, part in enumerate(new)
        ]
        entries = list(run_tasks(tasks, workers=workers, progress=progress))
        manifest = replace(manifest, parts=[*manifest.parts, *entries])
        if manifest != before:
            write_manifest(collection, manifest)
        tidy(collection, manifest)
    added = sum(entry.rows for entry in entries)
    notes = _notes(parts, manifest, selection)
    return BuildReport.of(manifest, added, time.perf_counter() - started, notes)


def _notes(parts: Sequence[Part], manifest: Manifest, selection: Selection) -> list[str]:
    """Return what one should know of the parts and of what became of them."""
    notes = [
        f"{part.image.name} holds vectors as columns: they were turned into rows"
        for part in parts
        if isinstance(part.image, BundleVectors) and part.image.is_transposed
    ]
    if any(part.metadata is None for part in parts):
        notes.append(
            f"{parts[0].image.name} has no metadata beside it: the only columns are part and row"
        )
    rounded = sum(part.rounded for part in manifest.parts)
    if rounded:
        notes.append(f"{rounded:,} rows had float32 values that were rounded to float16")
    subset = selection.subset
    is_whole = selection.where is None and subset is not None and selection.limit == subset.limit
    if subset is not None and is_whole and {p.number for p in manifest.parts} == subset.numbers:
        notes += subset.remarks(manifest.rows)
    return [*notes, *filter(None, [what_it_knows(manifest.model)])]


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
