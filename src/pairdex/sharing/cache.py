"""Published collections on disk, as far as they were read: one folder for each address and version.

Large files arrive block by block as they are read, the others whole, all of them verified. Versions that
nobody has open are removed, the longest unused first, when all of them take more than the limit.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from weakref import WeakValueDictionary

from pairdex.downloads.catalogue import Entry
from pairdex.downloads.fetch import bring_files
from pairdex.downloads.retry import Retry
from pairdex.downloads.sources import Sources
from pairdex.errors import FetchFailed, InvalidArgument
from pairdex.files import atomic, checksums, lock
from pairdex.files.foreign_names import path_below
from pairdex.progress import Meter, Progress, at_step
from pairdex.sharing.block_file import BLOCKS, BlockFile
from pairdex.sharing.contents import check_places
from pairdex.sharing.listing import BlockSums, Listing, PublishedFile
from pairdex.sharing.place import Place
from pairdex.sharing.ranges import RangeFetcher
from pairdex.store.manifest import MANIFEST, read_manifest
from pairdex.store.removed import REMOVED
from pairdex.store.store import Store
from pairdex.wording import counted

__all__ = ["CachedCollection", "cache_folder", "open_published"]

_WORK, _LOCK = ".pull", ".lock"  # where files arrive; locked by everybody who has the version open
_DIGITS = 16  # of the checksums that name folders
_PRIVATE = 0o700
_SECTOR_BYTES = 512  # in which `stat` counts what a file takes
_LARGE_BYTES = 64 << 20  # a fetch of whole files of more than this is announced

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of all cached collections: `pairdex/published` in the XDG cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pairdex" / "published"


def open_published(
    url: str, *, limit_bytes: int, progress: Progress | None = None, retry: Retry | None = None
) -> Store:
    """Open the version of a collection that is published at an address, read-only.

    The manifest, the removed rows and the scores are fetched now.

    Parameters
    ----------
    limit_bytes
        The most that cached collections may take on disk.
    progress
        Called with the step, the bytes done and the total bytes whenever whole files are fetched.

    Raises
    ------
    FetchFailed, DamagedFile, UnsupportedFormat
        The address cannot be read, or what is published there is not a collection.
    InvalidArgument
        The needed files are larger than the limit.
    """
    place, retry = Place.at(url), retry or Retry()
    with Sources(retry) as sources:
        listing = place.listing(sources)
    cached = CachedCollection(place, listing, limit_bytes, retry, progress)
    cached.need(MANIFEST, REMOVED)
    manifest = read_manifest(cached.folder)
    check_places(manifest, cached.url)
    listing.check_has(manifest, cached.url)
    return Store(cached.folder, published=cached)


class CachedCollection:
    """One version of a published collection, as far as it is in the cache; see `store.Published`.

    It stays there as long as this object lives.
    """

    def __init__(
        self,
        place: Place,
        listing: Listing,
        limit_bytes: int,
        retry: Retry,
        progress: Progress | None,
    ) -> None:
        self._place, self._listing = place, listing
        self._limit_bytes, self._retry, self._progress = limit_bytes, retry, progress
        self._lock = threading.Lock()
        self._files = listing.by_path
        self._block_files: WeakValueDictionary[str, BlockFile] = WeakValueDictionary()
        self._fetcher = RangeFetcher(place, retry)
        address = hashlib.sha256(place.url.encode()).hexdigest()[:_DIGITS]
        version = checksums.of_bytes(listing.sealed())[:_DIGITS]
        self.folder = cache_folder() / address / version
        atomic.make_folder(self.folder)
        with suppress(OSError):  # a folder of somebody else's is used as it is
            cache_folder().chmod(_PRIVATE)
        os.utime(self.folder)
        self._held = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._held, fcntl.LOCK_SH)

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            self._fetcher.close()
            os.close(self._held)

    @property
    def url(self) -> str:
        """The address, without secrets."""
        return str(self._place)

    def opened(self) -> Store:
        """Open the version that is published now; see `store.Published`."""
        return open_published(
            self._place.url,
            limit_bytes=self._limit_bytes,
            progress=self._progress,
            retry=self._retry,
        )

    def reopening(self) -> tuple[str, int]:
        """Return the address and the limit, with which another process opens the collection."""
        return self._place.url, self._limit_bytes

    def has_all(self, *names: str) -> bool:
        """Return whether all of these files are published."""
        return set(names) <= self._files.keys()

    def ranged(self, name: str) -> BlockFile | None:
        """Return a file that is read by ranges; see `store.Published`."""
        file, sums = self._files.get(name), self._listing.blocks.get(name)
        if file is None or sums is None or _has_size(self.folder, file):
            return None
        with self._lock:
            found = self._block_files.get(name)
            if found is None:
                found = self._block_files[name] = BlockFile(self.folder, file, sums, self)
            return found

    def sums(self, file: PublishedFile, sums: BlockSums) -> bytes:
        """Return the checksums of a file's blocks; see `block_file.Fetcher`."""
        return self._fetcher.sums(file, sums)

    def fetch(self, file: BlockFile, runs: list[range]) -> None:
        """Fetch runs of blocks; see `block_file.Fetcher`."""
        self._fetcher.fetch(file, runs)

    def need(self, *names: str) -> None:
        """Fetch published files that are not there yet; see `store.Published`.

        Parameters
        ----------
        names
            Paths, folders that end with `/`, or patterns.
        """
        with self._lock:
            missing = [
                file
                for file in self._listing.files
                if any(_is_named(file.path, name) for name in names)
                and not _has_size(self.folder, file)
            ]
            if missing:
                self._fetch(missing)

    def _fetch(self, files: list[PublishedFile]) -> None:
        with self._fetching():
            files = [file for file in files if not _has_size(self.folder, file)]
            self.make_room(sum(file.bytes for file in files if not self._is_begun(file)))
            missing = [file for file in files if not self._take_from_other_version(file)]
            self._announce(missing)
            begun = [file for file in missing if self._is_begun(file)]
            self._bring([file for file in missing if file not in begun])
            self._complete(begun)

    def _announce(self, files: list[PublishedFile]) -> None:
        """Say what is fetched, if it is much."""
        total = sum(file.bytes for file in files)
        if total >= _LARGE_BYTES:
            _log.warning(
                "fetching %s of %s whole, %s bytes: to work with the collection more, pull it",
                counted(len(files), "file"),
                self.url,
                f"{total:,}",
            )

    def _is_begun(self, file: PublishedFile) -> bool:
        """Return whether some blocks of a file are here."""
        return file.path in self._listing.blocks and (self.folder / BLOCKS / file.path).exists()

    def _complete(self, files: list[PublishedFile]) -> None:
        """Fetch the missing blocks of files."""
        meter = Meter(sum(file.bytes for file in files), at_step(self._progress, "fetching"))
        for file in files:
            sums = self._listing.blocks[file.path]
            block_file = BlockFile(self.folder, file, sums, self)
            block_file.complete(path_below(self.folder, file.path), meter.advance)

    def _bring(self, files: list[PublishedFile]) -> None:
        entries = [self._place.entry(file) for file in files]
        if not entries:
            return
        self._receive(entries)
        for file in files:
            target = path_below(self.folder, file.path)
            atomic.make_folder(target.parent)
            atomic.rename(self.folder / _WORK / file.path, target)
        shutil.rmtree(self.folder / _WORK, ignore_errors=True)

    def _receive(self, entries: list[Entry]) -> None:
        with Sources(self._retry) as sources:
            step = at_step(self._progress, "fetching")
            results = bring_files(entries, self.folder / _WORK, sources, progress=step)
        for result in results:
            if isinstance(result, tuple):
                raise FetchFailed(
                    f"{self.url} cannot be read: {result[0].path}: {result[1]}; if it was published "
                    "again meanwhile, open it again"
                )

    @contextmanager
    def _fetching(self) -> Iterator[None]:
        """Keep other processes from fetching the same files."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            lock.acquire(descriptor, self.folder, wait=True)
            yield
        finally:
            os.close(descriptor)

    def make_room(self, needed: int) -> None:
        """Make room for some bytes by removing versions that nobody has open.

        Raises
        ------
        InvalidArgument
            This version alone would take more than the limit.
        """
        ours = _size_of(self.folder) + needed
        if ours > self._limit_bytes:
            raise InvalidArgument(
                f"{self.url} needs {ours:,} bytes of the cache, its limit is {self._limit_bytes:,}: "
                "pull the collection, or raise the limit with cache=",
                field="cache",
            )
        others = sorted(_versions(self.folder), key=lambda path: path.stat().st_mtime)
        left = ours + sum(map(_size_of, others)) - self._limit_bytes
        for folder in others:
            if left <= 0:
                return
            left -= _removed(folder)

    def _take_from_other_version(self, file: PublishedFile) -> bool:
        """Link a file from another version of the same address, if one has the same bytes."""
        for folder in self.folder.parent.iterdir():
            if folder == self.folder or not _has_size(folder, file):
                continue
            if checksums.of_file(folder / file.path) == file.checksum:
                target = path_below(self.folder, file.path)
                atomic.make_folder(target.parent)
                with suppress(OSError):  # no links here, or it has just been removed
                    target.hardlink_to(folder / file.path)
                    return True
        return False


def _is_named(path: str, name: str) -> bool:
    return path.startswith(name) if name.endswith("/") else fnmatchcase(path, name)


def _has_size(folder: Path, file: PublishedFile) -> bool:
    path = folder / file.path
    return path.is_file() and path.stat().st_size == file.bytes


def _versions(ours: Path) -> Iterator[Path]:
    """Yield the folders of all cached versions but one."""
    yield from (path for path in cache_folder().glob("*/*") if path.is_dir() and path != ours)


def _size_of(folder: Path) -> int:
    """Return the bytes that the files of a folder take; files that two versions share count twice."""
    taken: dict[int, int] = {}
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed meanwhile
            status = path.stat()
            if stat.S_ISREG(status.st_mode):  # of a file with holes, the blocks that are there
                taken[status.st_ino] = min(status.st_size, status.st_blocks * _SECTOR_BYTES)
    return sum(taken.values())


def _removed(folder: Path) -> int:
    """Remove a version unless somebody has it open; return how many bytes that freed."""
    with suppress(OSError):  # somebody has it open, or has removed it
        descriptor = os.open(folder / _LOCK, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = _size_of(folder)
            shutil.rmtree(folder, ignore_errors=True)
            return size
        finally:
            os.close(descriptor)
    return 0
