"""Publishing a collection at an address: only what changed is sent, the list of files last.

Whoever fetches meanwhile sees the version before: a file that changed gets a new object, and the
objects that it replaces are removed by the next push but one.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pairdex.arguments import StrPath, checked
from pairdex.downloads.fetch import DEFAULT_JOBS, MAX_JOBS
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import checksums
from pairdex.parts.places import local_place
from pairdex.progress import Meter, Progress, StepProgress, at_step
from pairdex.sharing.block_sums import with_block_sums
from pairdex.sharing.contents import derived_files, without_places
from pairdex.sharing.folder_target import FolderTarget
from pairdex.sharing.held import Held, read_held
from pairdex.sharing.listing import LISTING, Listing, PublishedFile, parse_listing
from pairdex.sharing.merge_removed import removed_ids
from pairdex.sharing.place import Place
from pairdex.sharing.target import Target, Upload
from pairdex.sharing.targets import target_of
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest, sealed_manifest
from pairdex.store.removed import REMOVED, state_of
from pairdex.store.store import check_size
from pairdex.version import __version__
from pairdex.wording import counted

__all__ = ["PushReport", "push", "push_files"]

_DIGITS = 12  # of a checksum, in the name of an object whose plain name is taken


@dataclass(frozen=True)
class PushReport:
    """What a push did.

    Attributes
    ----------
    url
        The address, without secrets.
    files, bytes
        The files of the published collection, and their size.
    verified
        The files that were read and compared with their checksum now.
    sent, sent_bytes
        The files that were sent, and their size; the others were there.
    seconds
        How long it took.
    """

    url: str
    files: int
    bytes: int
    verified: int
    sent: int
    sent_bytes: int
    seconds: float


@checked
def push(
    collection: StrPath,
    url: str,
    *,
    jobs: int = DEFAULT_JOBS,
    progress: Progress | None = None,
) -> PushReport:
    """Publish a collection with its derived data at an address, or publish its changes.

    The names of folders of this machine (of pictures, of the model) are not published. After a kill,
    the same call sends what is missing.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    url
        The address of a folder, new or published to before: s3://, gs://, az://, hf:// or file://.
    jobs
        Number of files sent at once.
    progress
        Called with the step, the bytes done and the total bytes.

    Raises
    ------
    Mismatch
        Another collection is published there, or a newer version of this one; or the folder holds
        another collection that was not published.
    InvalidArgument
        Nothing can be pushed to this address, or it is a folder in the collection.
    CollectionBusy
        Another push to this address ended meanwhile.
    WriteFailed, FetchFailed
        The place is not writable, or cannot be reached.
    DamagedFile
        A file differs from what was written.
    """
    return push_files(
        local_place(collection, field="collection"), url, jobs=jobs, progress=progress
    )


def push_files(
    folder: Path,
    url: str,
    *,
    jobs: int = DEFAULT_JOBS,
    progress: Progress | None = None,
    retry: Retry | None = None,
) -> PushReport:
    """Publish a collection at an address; see `pairdex.push`."""
    if not 1 <= jobs <= MAX_JOBS:
        raise InvalidArgument(f"jobs is {jobs}, expected 1 to {MAX_JOBS}", field="jobs")
    began = time.monotonic()
    place = Place.at(url)
    target = target_of(place)
    manifest = without_places(read_manifest(folder))
    with Sources(retry or Retry()) as sources:
        held = read_held(place, sources)
    if held is not None:
        _check_follows(folder, manifest, held, place)
    if isinstance(target, FolderTarget):
        target.check_free(folder, manifest, published=held is not None)
    uploads = _uploads(folder, manifest, at_step(progress, "comparing"))
    before = None if held is None else held.listing
    listing = _listed(manifest, uploads, before)
    listing, sums = with_block_sums(listing, uploads, before, at_step(progress, "summing blocks"))
    parse_listing(listing.sealed(), str(place))  # what no pull would take is not sent
    new = _new(uploads, listing, held)
    sent = _send([*new, *sums], target, jobs, at_step(progress, "sending"))
    sent = [each for each in sent if each.name not in listing.block_objects]
    if before is None or (before.files, before.blocks) != (listing.files, listing.blocks):
        _publish(listing, held, target)
    return PushReport(
        url=str(place),
        files=len(listing.files),
        bytes=listing.total_bytes,
        verified=len({each.name for each in sent} | _compared(listing, manifest)),
        sent=len(sent),
        sent_bytes=sum(each.size for each in sent),
        seconds=time.monotonic() - began,
    )


def _check_follows(folder: Path, manifest: Manifest, held: Held, place: Place) -> None:
    """Raise Mismatch unless what is published is an earlier version of the collection, or this one."""
    ours, theirs = manifest.vector_checksums("image"), held.manifest.vector_checksums("image")
    if ours[: len(theirs)] != theirs[: len(ours)]:
        raise Mismatch(
            f"{place} holds another collection ({held.listing.collection}): its rows are not those of "
            f"{folder}; name a new address"
        )
    missing = np.setdiff1d(held.removed, removed_ids(folder, manifest))
    newer = f"{folder} still has {counted(len(missing), 'row')} that were removed there"
    if len(theirs) > len(ours):
        newer = f"it has {counted(len(theirs), 'part')}, {folder} has {len(ours):,}"
    if len(theirs) > len(ours) or len(missing):
        raise Mismatch(f"{place} holds a newer version: {newer}; pull it first")


def _uploads(folder: Path, manifest: Manifest, progress: StepProgress | None) -> list[Upload]:
    """Return all files to publish; those of derived data are read for their checksums."""
    small = [(MANIFEST, sealed_manifest(manifest))]
    if state_of(folder) is not None:
        small.append((REMOVED, (folder / REMOVED).read_bytes()))
    uploads = [Upload(name, len(data), checksums.of_bytes(data), data) for name, data in small]
    for file in manifest.files():
        path = folder / file.path
        check_size(path, file.bytes)
        uploads.append(Upload(file.path, file.bytes, file.checksum, path))
    derived = [(name, folder / name) for name in derived_files(folder)]
    meter = Meter(sum(path.stat().st_size for _, path in derived), progress)
    for name, path in derived:
        size = path.stat().st_size
        uploads.append(Upload(name, size, checksums.of_file(path), path))
        meter.advance(size)
    return uploads


def _listed(manifest: Manifest, uploads: list[Upload], before: Listing | None) -> Listing:
    """Return the list to publish: files that have changed get new objects, the others keep theirs."""
    known = {} if before is None else before.by_path
    taken = {file.name for file in known.values()} | {*(before.retired if before else ())}
    files = []
    for each in uploads:
        old = known.get(each.name)
        if old is not None and (old.bytes, old.checksum) == (each.size, each.checksum):
            files.append(old)
        else:
            place = f"{each.name}.{each.checksum[:_DIGITS]}" if each.name in taken else None
            files.append(PublishedFile(each.name, each.size, each.checksum, place))
    names = {file.name for file in files}
    retired = sorted({file.name for file in known.values()} - names)
    return Listing(manifest.name, __version__, files, retired)


def _new(uploads: list[Upload], listing: Listing, held: Held | None) -> list[Upload]:
    """Return the files whose objects the published list does not name, under these objects' names."""
    there = {file.name for file in held.listing.files} if held else set()
    pairs = zip(uploads, listing.files, strict=True)
    return [replace(each, name=file.name) for each, file in pairs if file.name not in there]


def _send(
    uploads: list[Upload], target: Target, jobs: int, progress: StepProgress | None
) -> list[Upload]:
    """Send the files that are not there yet, several at once; return those that were sent."""
    sending = _Sending(target, sum(each.size for each in uploads), progress)
    pool = ThreadPoolExecutor(jobs)
    try:
        was_sent = list(pool.map(sending.send, uploads))
    except _Ended as error:
        raise (sending.error or error) from error.__cause__
    finally:
        sending.ended.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return [each for each, sent in zip(uploads, was_sent, strict=True) if sent]


class _Ended(Exception):
    """A file is not sent to its end, because another one failed."""


class _Sending:
    """What the threads of one push share; when one has failed, the others end at their next block."""

    def __init__(self, target: Target, total: int, progress: StepProgress | None) -> None:
        self._target, self._meter = target, Meter(total, progress)
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def send(self, upload: Upload) -> bool:
        """Send a file, and return whether that was needed."""
        try:
            if self._target.has(upload):
                self._advance(upload.size)
                return False
            self._target.put(upload, self._advance)
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            self.ended.set()
            raise
        return True

    def _advance(self, count: int) -> None:
        if self.ended.is_set():
            raise _Ended
        with self._lock:
            self._meter.advance(count)


def _publish(listing: Listing, held: Held | None, target: Target) -> None:
    """Make the list visible, and remove the objects that neither it nor the one before names."""
    named = {file.name for file in listing.files} | listing.block_objects
    old = set() if held is None else {*held.listing.retired} - named
    version = None if held is None else held.version
    target.publish(LISTING, listing.sealed(), version, sorted(old))


def _compared(listing: Listing, manifest: Manifest) -> set[str]:
    """Return the objects of the files whose checksums were computed before anything was sent."""
    recorded = {file.path for file in manifest.files()}
    return {file.name for file in listing.files if file.path not in recorded}
