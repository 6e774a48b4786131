"""Building a collection from parts, or adding parts to one; resumed by the same call.

The manifest is written last: readers see the collection as it was until the whole build is done,
and a build killed at any instant loses only the parts in hand.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pairdex import atomic
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.parts.layout import Part, find_parts
from pairdex.parts.note import read_note
from pairdex.store import lock
from pairdex.store.manifest import (
    MANIFEST,
    Manifest,
    ModelRecord,
    read_manifest,
    write_manifest,
)
from pairdex.store.plan import Selection, new_parts, plan_additions, plan_collection
from pairdex.store.staging import STAGING, Progress, run_tasks
from pairdex.store.write_part import PartTask

__all__ = ["BuildReport", "build_collection"]

_KINDS = ("image", "text", "metadata")  # the folders of a collection
_PART_FILE = re.compile(r"\d{5,}\.(npy|arrow)")


@dataclass(frozen=True)
class BuildReport:
    """What the collection holds after a build; `added` is what this build brought."""

    rows: int
    rows_read: int
    dropped: dict[str, int]
    parts: int
    dim: int
    added: int
    seconds: float


def build_collection(
    source: Path,
    collection: Path,
    *,
    selection: Selection,
    model: ModelRecord | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a collection from the parts in `source`, or add those it does not hold yet.

    Raises
    ------
    PairdexError
        Bad parts, parts that do not fit the collection, another writer, or no room. What was
        there before is untouched; the same call goes on where this one stopped.
    """
    started = time.perf_counter()
    if workers < 1:
        raise InvalidArgument(f"workers is {workers}, expected at least 1", field="workers")
    parts = find_parts(source, numbers=selection.parts, tower=selection.tower)
    note = read_note(source)
    model = model or note.model
    _check_model(model, parts[0])
    with _claimed(collection) as before:
        new = new_parts(parts, before, source, selection.limit)
        if before is None:
            name = collection.resolve().name
            manifest, columns = plan_collection(name, new, selection, model)
        else:
            manifest, columns = plan_additions(collection, before, parts, selection, model)
        selection = _left(selection, before)
        _make_folders(collection, manifest)
        tasks = [
            PartTask(
                len(manifest.parts) + i, part, source, collection, columns, selection, note.pictures
            )
            for i, part in enumerate(new)
        ]
        entries = list(run_tasks(tasks, workers=workers, progress=progress))
        manifest = replace(manifest, parts=[*manifest.parts, *entries])
        if manifest != before:
            write_manifest(collection, manifest)
        _tidy(collection, manifest)
    return BuildReport(
        rows=manifest.rows,
        rows_read=manifest.rows_read,
        dropped=manifest.dropped,
        parts=len(manifest.parts),
        dim=manifest.dim,
        added=sum(entry.rows for entry in entries),
        seconds=time.perf_counter() - started,
    )


@contextmanager
def _claimed(collection: Path) -> Iterator[Manifest | None]:
    """Have the collection's folder to oneself; a build that fails leaves nothing half-written."""
    was_there = collection.exists()
    atomic.make_folder(collection)
    with lock.writing(collection):
        before = _existing(collection)
        try:
            yield before
        except BaseException:  # Ctrl-C too
            _discard_partials(collection)
            for name in (STAGING, *_KINDS, *([] if was_there else [""])):
                with suppress(OSError):  # it holds parts that are done
                    (collection / name).rmdir()
            raise


def _left(selection: Selection, before: Manifest | None) -> Selection:
    """Return the selection with what is left of its limit, where it is not yet reached."""
    if selection.limit is None or before is None or before.rows >= selection.limit:
        return selection
    return replace(selection, limit=selection.limit - before.rows)


def _existing(collection: Path) -> Manifest | None:
    if (collection / MANIFEST).exists():
        return read_manifest(collection)
    ours = {*_KINDS, STAGING, *(path.name for path in atomic.partials(collection, MANIFEST))}
    strangers = sorted(entry.name for entry in collection.iterdir() if entry.name not in ours)
    if strangers:
        raise InvalidArgument(
            f"{collection} is no collection and not empty (it holds {strangers[0]}); "
            "name a new folder",
            field="collection",
        )
    return None


def _make_folders(collection: Path, manifest: Manifest) -> None:
    for name in (*manifest.vectors, "metadata", STAGING):
        atomic.make_folder(collection / name)
    _discard_partials(collection)


def _discard_partials(collection: Path) -> None:
    for name in ("", *_KINDS, STAGING):
        atomic.discard_partials(collection / name)


def _tidy(collection: Path, manifest: Manifest) -> None:
    """Remove what interrupted builds of other parts or options have left."""
    shutil.rmtree(collection / STAGING, ignore_errors=True)
    named = {collection / file.path for file in manifest.files()}
    for kind in _KINDS:
        for path in (collection / kind).glob("*"):
            if _PART_FILE.fullmatch(path.name) and path not in named:
                path.unlink()
        if kind not in (*manifest.vectors, "metadata"):
            with suppress(OSError):
                (collection / kind).rmdir()


def _check_model(model: ModelRecord | None, part: Part) -> None:
    if model is not None and model["dim"] != part.dim:
        raise Mismatch(
            f"the model {model['name']} makes vectors of {model['dim']} dimensions, "
            f"{part.image.name} has {part.dim}: another model made them"
        )
