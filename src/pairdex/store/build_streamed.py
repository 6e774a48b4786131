"""Building a collection from numbered parts at an address, a few at a time."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.errors import InvalidArgument
from pairdex.parts.model_record import ModelRecord
from pairdex.progress import Progress, at_step
from pairdex.store.build import BuildOptions, BuildReport, build_collection, live_rows
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest
from pairdex.store.plan import Selection
from pairdex.store.streamed_parts import find_remote_parts, windows

__all__ = ["build_streamed"]


def build_streamed(
    url: str,
    collection: Path,
    selection: Selection,
    *,
    model: ModelRecord | None = None,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
    retry: Retry | None = None,
) -> BuildReport:
    """Build a collection from the numbered parts at an address, a window of parts at a time.

    Each window is added as `build_collection` adds parts: readers see the collection grow.

    Raises
    ------
    PairdexError
        As `build_collection`; parts that cannot be fetched. The same call goes on.
    """
    began, options = time.perf_counter(), options or BuildOptions()
    if options.metadata is not None or options.link or selection.subset is not None:
        raise InvalidArgument(
            "parts at an address are built without --metadata, --link and --subset: fetch them first",
            field="source",
        )
    before = read_manifest(collection) if (collection / MANIFEST).exists() else None
    with Sources(retry or Retry()) as sources:
        found = find_remote_parts(
            url, sources, numbers=selection.parts, skip_incomplete=options.skip_incomplete
        )
    reports: list[BuildReport] = []
    with windows(
        found.without(before, options.replaced),
        collection,
        at_once=options.workers,
        retry=retry,
        progress=at_step(progress, "fetching"),
    ) as arrived:
        for folder, numbers in arrived:
            report = build_collection(
                folder,
                collection,
                selection=replace(selection, parts=numbers),
                model=model,
                options=replace(options, replaced=options.replaced & numbers),
                progress=at_step(progress, "building"),
            )
            reports.append(report)
            if selection.limit is not None and report.rows >= selection.limit:
                break
    seconds = time.perf_counter() - began
    return _total(reports, collection, read_manifest(collection), found.skipped, seconds)


def _total(
    reports: list[BuildReport],
    collection: Path,
    manifest: Manifest,
    skipped: list[str],
    seconds: float,
) -> BuildReport:
    """Report what the collection holds after all windows."""
    notes = [*skipped, *(note for each in reports for note in each.notes)]
    return replace(
        BuildReport.of(
            manifest, sum(each.added for each in reports), seconds, dict.fromkeys(notes)
        ),
        rows=live_rows(collection, manifest),
        skipped=len(skipped),
        replaced=sum(each.replaced for each in reports),
    )
