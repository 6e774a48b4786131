"""Fetching a published collection whole: only what changed, verified, the manifest last.

Files arrive in `.pull` inside the folder and move into place when all have come. A pull that is killed
at any instant is completed by the same call, and readers see the collection as it was until then.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pairdex.arguments import StrPath, checked
from pairdex.downloads.download import Arrival
from pairdex.downloads.fetch import DEFAULT_JOBS, MAX_JOBS, bring_files
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.errors import (
    DamagedFile,
    FetchFailed,
    InvalidArgument,
    Mismatch,
    UnsupportedFormat,
)
from pairdex.files import atomic, checksums, lock
from pairdex.files.foreign_names import path_below
from pairdex.parts.places import local_place
from pairdex.progress import Meter, Progress, StepProgress, at_step
from pairdex.sharing.contents import DERIVED, FOLDERS, check_places, without_places
from pairdex.sharing.listing import Listing, PublishedFile
from pairdex.sharing.merge_removed import place_removed
from pairdex.sharing.place import Place
from pairdex.store.folder import tidy
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest
from pairdex.store.removed import REMOVED
from pairdex.wording import counted

__all__ = ["PullReport", "pull", "pull_files"]

WORK = ".pull"  # where files arrive


@dataclass(frozen=True)
class PullReport:
    """What a pull did.

    Attributes
    ----------
    url
        The address, without secrets.
    rows
        The rows of the collection, removed ones among them.
    files, bytes
        The files of the published collection, and their size.
    verified
        The files that were compared with their checksum now. The others are those that the manifest of
        this collection had before; `pairdex verify` reads them.
    fetched, received
        The files that were fetched, and the bytes that were received for them.
    seconds
        How long it took.
    """

    url: str
    rows: int
    files: int
    bytes: int
    verified: int
    fetched: int
    received: int
    seconds: float


@checked
def pull(
    url: str,
    collection: StrPath,
    *,
    jobs: int = DEFAULT_JOBS,
    progress: Progress | None = None,
) -> PullReport:
    """Fetch a published collection whole, with its derived data; the same call resumes and updates it.

    Parameters
    ----------
    url
        The address that it was pushed to: https://, http://, s3://, gs://, az://, hf:// or file://.
    collection
        A new folder, or one that holds an earlier version of the collection. Rows that were removed
        from it stay removed.
    jobs
        Number of files fetched at once; at most 4 from one host.
    progress
        Called with the step, the bytes done and the total bytes.

    Raises
    ------
    FetchFailed
        A file could not be fetched; what was received stays for the next call.
    Mismatch
        The folder holds another collection, or parts that are not published.
    DamagedFile, UnsupportedFormat
        What is published is not a collection, or a newer release wrote it.
    WriteFailed
        The disk is full or the folder is not writable.
    """
    return pull_files(
        url, local_place(collection, field="collection"), jobs=jobs, progress=progress
    )


def pull_files(
    url: str,
    folder: Path,
    *,
    jobs: int = DEFAULT_JOBS,
    progress: Progress | None = None,
    retry: Retry | None = None,
    now: datetime | None = None,
) -> PullReport:
    """Fetch a published collection whole; see `pairdex.pull`.

    `now` is the time of removal of rows that are removed there and not yet here.
    """
    if not 1 <= jobs <= MAX_JOBS:
        raise InvalidArgument(f"jobs is {jobs}, expected 1 to {MAX_JOBS}", field="jobs")
    began = time.monotonic()
    place = Place.at(url)
    with Sources(retry or Retry()) as sources:
        listing = place.listing(sources)
        was_there = folder.exists()
        atomic.make_folder(folder)
        try:
            with lock.writing(folder):
                fetching = _Fetching(place, listing, folder, sources, jobs)
                report = fetching.run(progress, now or datetime.now(timezone.utc))
        except BaseException as error:
            if isinstance(error, (DamagedFile, UnsupportedFormat, Mismatch)):
                shutil.rmtree(folder / WORK, ignore_errors=True)  # nothing of it is of use
            _remove_if_empty(folder, was_there=was_there)
            raise
    rows, verified, arrivals = report
    return PullReport(
        url=str(place),
        rows=rows,
        files=len(listing.files),
        bytes=listing.total_bytes,
        verified=verified,
        fetched=len(arrivals),
        received=sum(arrival.received for arrival in arrivals),
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Fetching:
    """One pull: the published list, and the locked folder that its files go to."""

    place: Place
    listing: Listing
    folder: Path
    sources: Sources
    jobs: int

    @property
    def work(self) -> Path:
        """Where files arrive."""
        return self.folder / WORK

    def run(self, progress: Progress | None, now: datetime) -> tuple[int, int, list[Arrival]]:
        """Fetch what is not there and move it into place; return rows, verified files, what arrived."""
        before = _existing(self.folder)
        manifest, arrivals = self._manifest(before)
        others = [file for file in self.listing.files if file.path != MANIFEST]
        present = _Present(self.folder, before)
        missing = present.missing(others, at_step(progress, "comparing"))
        arrivals += self._bring(missing, at_step(progress, "fetching"))
        self._put_in_place(missing, manifest, now)
        _prune(self.folder, self.listing)
        tidy(self.folder, manifest, before)
        shutil.rmtree(self.work, ignore_errors=True)
        return manifest.rows, len(arrivals) + present.compared, arrivals

    def _manifest(self, before: Manifest | None) -> tuple[Manifest, list[Arrival]]:
        """Return the published manifest, fetched unless the folder has it, and what arrived."""
        head, where = self.listing.by_path[MANIFEST], str(self.place)
        if before is not None and _is_same(self.folder, head):
            return before, []
        arrivals = self._bring([head], None)
        manifest = read_manifest(self.work)
        check_places(manifest, where)
        self.listing.check_has(manifest, where)
        _check_follows(before, manifest, self.folder, self.place)
        if before is not None and without_places(before) == manifest:
            (self.work / MANIFEST).unlink()  # ours is the same and knows where the pictures lie
            return before, arrivals
        return manifest, arrivals

    def _bring(self, files: list[PublishedFile], progress: StepProgress | None) -> list[Arrival]:
        if not files:
            return []
        entries = [self.place.entry(file) for file in files]
        results = bring_files(entries, self.work, self.sources, jobs=self.jobs, progress=progress)
        failed = [result for result in results if isinstance(result, tuple)]
        if failed:
            entry, error = failed[0]
            raise FetchFailed(
                f"{len(failed)} of {len(self.listing.files)} files failed; {entry.path}: {error}; "
                "run the same command again to go on"
            )
        return [result for result in results if isinstance(result, Arrival)]

    def _put_in_place(self, files: list[PublishedFile], manifest: Manifest, now: datetime) -> None:
        """Move what has arrived: vectors and metadata, derived data, removed rows, the manifest."""
        for file in sorted(files, key=_turn):
            target = path_below(self.folder, file.path)
            atomic.make_folder(target.parent)
            if file.path == REMOVED:
                place_removed(self.work, self.folder, manifest, now)
            else:
                atomic.rename(self.work / file.path, target)
        if (self.work / MANIFEST).exists():
            atomic.rename(self.work / MANIFEST, self.folder / MANIFEST)


class _Present:
    """What a folder already holds of a published collection."""

    def __init__(self, folder: Path, before: Manifest | None) -> None:
        self._folder = folder
        files = [] if before is None else before.files()
        self._known = {file.path: file.checksum for file in files}
        self.compared = 0

    def missing(
        self, files: list[PublishedFile], progress: StepProgress | None
    ) -> list[PublishedFile]:
        """Return the files that are not there with their published bytes."""
        meter = Meter(sum(file.bytes for file in files), progress)
        missing = []
        for file in files:
            if not self._has(file):
                missing.append(file)
            meter.advance(file.bytes)
        return missing

    def _has(self, file: PublishedFile) -> bool:
        if self._known.get(file.path) == file.checksum:
            return _has_size(self._folder, file)
        same = _is_same(self._folder, file)
        self.compared += same
        return same


def _has_size(folder: Path, file: PublishedFile) -> bool:
    path = path_below(folder, file.path)
    return not path.is_symlink() and path.is_file() and path.stat().st_size == file.bytes


def _is_same(folder: Path, file: PublishedFile) -> bool:
    """Return whether a folder has a file with its published bytes."""
    return _has_size(folder, file) and checksums.of_file(folder / file.path) == file.checksum


def _turn(file: PublishedFile) -> tuple[int, str]:
    """Order files so that what was moved before serves no reader wrongly; removed rows come last."""
    first = file.path.partition("/")[0]
    return (2 if file.path == REMOVED else int(first in DERIVED)), file.path


def _existing(folder: Path) -> Manifest | None:
    """Return the manifest that a folder holds; refuse a folder with something else."""
    if (folder / MANIFEST).exists():
        return read_manifest(folder)
    names = sorted(entry.name for entry in folder.iterdir())
    allowed = {WORK, REMOVED, *FOLDERS} if WORK in names else set()
    strangers = [name for name in names if name not in allowed]
    if strangers:
        raise InvalidArgument(
            f"{folder} is no collection and not empty (it holds {strangers[0]}); name a new folder",
            field="collection",
        )
    return None


def _check_follows(before: Manifest | None, new: Manifest, folder: Path, place: Place) -> None:
    """Raise Mismatch unless the parts that the folder holds are the first of those published."""
    ours = [] if before is None else before.vector_checksums("image")
    theirs = new.vector_checksums("image")
    if ours[: len(theirs)] != theirs[: len(ours)]:
        raise Mismatch(
            f"{folder} holds another collection than {place}: their rows differ; name a new folder"
        )
    if len(ours) > len(theirs):
        raise Mismatch(
            f"{folder} holds {counted(len(ours), 'part')}, {place} has the first {len(theirs):,} of them: "
            "push it there, or name a new folder"
        )


def _prune(folder: Path, listing: Listing) -> None:
    """Remove files that older versions of fetched derived data have left; other derived data stays."""
    published = set(listing.by_path)
    fetched = {_piece(path) for path in published if path.partition("/")[0] in DERIVED}
    for piece in fetched:
        # A file beside pieces, such as indexes/x, says nothing about these.
        for path in (folder / piece).glob("**/*" if "/" in piece else "*"):
            name = path.relative_to(folder).as_posix()
            if not path.is_dir() and name not in published:
                path.unlink()


def _piece(path: str) -> str:
    """Return the folder of one piece of derived data: `indexes/image`, `atlas`."""
    return "/".join(path.split("/")[:-1][:2])


def _remove_if_empty(folder: Path, *, was_there: bool) -> None:
    for name in (folder / WORK, *([] if was_there else [folder])):
        with suppress(OSError):  # it holds something
            name.rmdir()
