"""Keep a collection up to date with a folder of pictures; the same call resumes."""

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
from pairdex.wording import counted

__all__ = ["PhotosReport", "collection_of", "photos"]


@dataclass(frozen=True)
class PhotosReport:
    """The result of following a folder.

    Attributes
    ----------
    rows
        Number of pictures in the collection: unchanged, moved and added.
    added, removed
        Number of rows added and removed; an edited picture counts in both.
    moved, replaced
        Number of pictures that were renamed and kept their id; number of edited pictures whose older
        row was shown until now. An edited picture whose row a user had removed counts as added only.
    failed
        Number of unreadable pictures; `failed.tsv` in the collection lists them.
    notes
        Notes for the user, one sentence each.
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
    take_down: bool = False,
    device: Device = DEFAULT_DEVICE,
    workers: int = 0,
    progress: Progress | None = None,
) -> PhotosReport:
    """Create a collection of a folder of pictures, or update it with the folder's changes.

    Parameters
    ----------
    folder
        Folder of pictures, including its subfolders.
    collection
        Folder of the collection; default: beside the pictures, as `Pictures-pairdex`.
    model
        Name or folder of the model; default: the collection's model, or `demo` for a new one.
    as_stored
        Do not rotate pictures by EXIF. Default: as the collection does; a new one rotates.
    moved_to
        The folder's new place, if it was moved or renamed as a whole.
    take_down
        Remove the rows of vanished pictures even if nearly all of them vanished. Without it, that is
        an error: the disk may be missing, or the folder the wrong one.
    workers
        Number of processes that decode pictures; 0 decodes in threads of this process.
    progress
        Called with the step, the pictures done and the total.
    device
        Device of the model: auto, cpu or cuda.

    Raises
    ------
    PairdexError
        The folder is missing or has no pictures; nearly all known pictures are gone, as after unmounting
        a disk; the collection holds other pictures or another model's vectors; the disk is full.
    """
    started = time.perf_counter()
    place = collection_of(folder, collection)
    root = Path(folder if moved_to is None else moved_to)
    content = read_folder(root)
    with _alone(place) as staging:
        run = Run(place, staging, content, take_down=take_down)
        run.open(Path(folder), moved=moved_to is not None)
        run.choose(model, as_stored)
        run.follow(device, workers, progress)
    return _report(run, time.perf_counter() - started)


def collection_of(folder: StrPath, collection: StrPath | None = None) -> Path:
    """Return the folder of the collection."""
    if collection is not None:
        return Path(collection)
    place = Path(folder).absolute()
    if not place.name:
        raise InvalidArgument(f"{place} has no name; name a collection", field="collection")
    return place.with_name(f"{place.name}-pairdex")


@contextmanager
def _alone(collection: Path) -> Iterator[Path]:
    """Yield the folder for unfinished work, locked for one run at a time."""
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
            # Left by a run that was killed: whatever it was for is encoded again, or is added already.
            shutil.rmtree(work / "parts", ignore_errors=True)
            yield work / "parts"
    finally:
        if not (collection / MANIFEST).exists():
            shutil.rmtree(work, ignore_errors=True)
            if not was_there and collection.is_dir() and not any(collection.iterdir()):
                collection.rmdir()


def _report(run: Run, seconds: float) -> PhotosReport:
    if run.changes.unreachable:
        run.notes.append(
            f"kept {counted(run.changes.unreachable, 'picture')} in folders that cannot be read now"
        )
    failures = run.failures
    return PhotosReport(
        rows=Store(run.collection, mapped=False).live_rows,
        added=run.added,
        removed=run.removed,
        unchanged=run.changes.unchanged,
        moved=len(run.changes.moved),
        replaced=run.replaced,
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
