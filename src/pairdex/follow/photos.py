"""Making a collection follow a folder of pictures; resumed by the same call."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.encoders.encoder import DEFAULT_DEVICE, Device
from pairdex.encoders.folder import read_folder
from pairdex.errors import InvalidArgument
from pairdex.files import atomic, lock
from pairdex.follow.run import Run
from pairdex.progress import Progress
from pairdex.store.folder import WORK
from pairdex.store.manifest import MANIFEST
from pairdex.store.store import Store

__all__ = ["PhotosReport", "collection_of", "photos"]


@dataclass(frozen=True)
class PhotosReport:
    """What became of a folder.

    Attributes
    ----------
    rows
        Pictures that the collection has now: those unchanged, moved and added.
    added, removed
        Rows that came and went; a picture that was edited counts in both.
    moved, replaced
        Pictures that kept their id under another name; pictures that were edited.
    failed
        Pictures that cannot be read; `failed.tsv` in the collection lists them.
    notes
        Sentences on what one should know.
    """

    rows: int
    added: int
    removed: int
    unchanged: int
    moved: int
    replaced: int
    failed: int
    failures: list[tuple[str, str]]
    collection: str
    folder: str
    model: str
    dim: int
    orientation: str
    notes: list[str]
    seconds: float


@checked
def photos(
    folder: StrPath,
    collection: StrPath | None = None,
    *,
    model: StrPath | None = None,
    as_stored: bool | None = None,
    moved_to: StrPath | None = None,
    device: Device = DEFAULT_DEVICE,
    workers: int = 0,
    progress: Progress | None = None,
) -> PhotosReport:
    """Make a collection of a folder of pictures, or make it follow what has changed there.

    Parameters
    ----------
    folder
        Pictures, in it and the folders in it.
    collection
        The folder of the collection; by default beside the pictures: `Pictures-pairdex`.
    model
        The name or folder of the model; by default the collection's own, for a new one `demo`.
    as_stored
        Take pictures as they are stored; by default EXIF turns them upright, or what the collection has.
    moved_to
        Where the folder lies now, if it was moved or renamed as a whole.
    workers
        Processes that decode pictures; 0 decodes in threads of this one.
    progress
        Called with the step, the pictures done and the pictures in all.
    device
        Where the model runs: auto, cpu or cuda.

    Raises
    ------
    PairdexError
        There is no such folder, or no picture in it; all of its pictures are gone, as when a disk is
        not there; the collection is of other pictures, or another model's; no room.
    """
    started = time.perf_counter()
    place = collection_of(folder, collection)
    root = Path(folder if moved_to is None else moved_to)
    content = read_folder(root)
    with _alone(place) as staging:
        run = Run(place, staging, content)
        run.open(Path(folder), moved=moved_to is not None)
        run.choose(model, as_stored)
        run.follow(device, workers, progress)
    return _report(run, time.perf_counter() - started)


def collection_of(folder: StrPath, collection: StrPath | None = None) -> Path:
    """Return where the collection of a folder lies."""
    if collection is not None:
        return Path(collection)
    place = Path(folder).absolute()
    if not place.name:
        raise InvalidArgument(f"{place} has no name; name a collection", field="collection")
    return place.with_name(f"{place.name}-pairdex")


@contextmanager
def _alone(collection: Path) -> Iterator[Path]:
    """Give the folder for unfinished work to one run at a time."""
    was_there = collection.exists()
    work = collection / WORK
    if was_there and not (collection / MANIFEST).exists() and not work.exists():
        strangers = sorted(path.name for path in collection.iterdir())
        if strangers:
            raise InvalidArgument(
                f"{collection} is not a collection and not empty (it holds {strangers[0]}); "
                "name a new folder",
                field="collection",
            )
    atomic.make_folder(work)
    try:
        with lock.writing(work):
            yield work / "parts"
    finally:
        if not (collection / MANIFEST).exists():
            shutil.rmtree(work, ignore_errors=True)
            if not was_there and collection.is_dir() and not any(collection.iterdir()):
                collection.rmdir()


def _report(run: Run, seconds: float) -> PhotosReport:
    if run.changes.unreachable:
        run.notes.append(
            f"{run.changes.unreachable:,} pictures lie in folders that cannot be looked at now; "
            "they were kept"
        )
    failures = run.failures
    return PhotosReport(
        rows=Store(run.collection, mapped=False).live_rows,
        added=run.added,
        removed=run.removed,
        unchanged=run.changes.unchanged,
        moved=len(run.changes.moved),
        replaced=sum(run.state.pictures[name].id >= 0 for name in run.changes.replaced),
        failed=len(failures),
        failures=failures,
        collection=str(run.collection),
        folder=run.root,
        model=run.model.name,
        dim=run.model.dim,
        orientation=run.orientation,
        notes=run.notes,
        seconds=seconds,
    )
