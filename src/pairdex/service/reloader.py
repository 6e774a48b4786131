"""Reloading collections: a changed collection is opened and warmed beside the old version, then switched.

Requests in progress finish on the version they began with. They hold it, and its maps are closed when
the last of them has ended. If a new version cannot be opened or warmed, the error is logged and the old
version stays in use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Thread
from weakref import WeakSet

import numpy as np
from PIL import Image

from pairdex.collection import Collection
from pairdex.derived.kinds import KINDS
from pairdex.derived.lookups.keywords import KEYWORDS
from pairdex.derived.lookups.parts import make_files
from pairdex.errors import CollectionBusy, PairdexError, WriteFailed
from pairdex.files import faults
from pairdex.progress import Progress
from pairdex.search import Query
from pairdex.service.catalogue import Catalogue, ServedCollection
from pairdex.service.limits import CODES_RETRIES, POLL_SECONDS
from pairdex.service.metrics import Metrics
from pairdex.service.searches import Searches
from pairdex.store.manifest import MANIFEST, is_sharded
from pairdex.store.shard_list import read_any_manifest, read_shard_list

__all__ = ["CollectionReloader", "state_of"]

State = tuple[tuple[str, int, int, int], ...]

_logger = logging.getLogger("pairdex.service")


class _Closing(Exception):
    """The service ends while a collection is warmed."""


class CollectionReloader:
    """Warms the collections of a service, and notices when they change.

    Attributes
    ----------
    is_warm
        Whether every collection has answered a search.
    when_warm
        Called once, after the first warming.
    failed
        The name of a collection that could not be warmed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        searches: Searches,
        metrics: Metrics,
        *,
        progress: Progress | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.is_warm = False
        self.when_warm: Callable[[], object] = lambda: None
        self.failed: str | None = None
        self._catalogue = catalogue
        self._searches = searches
        self._metrics = metrics
        self._progress = progress or (lambda *_: None)
        self._poll_seconds = poll_seconds
        self._states: dict[str, State] = {}
        self._tries: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._indexing: Thread | None = None
        self._unindexable: WeakSet[ServedCollection] = WeakSet()
        self._closing = Event()

    async def run(self) -> None:
        """Warm all collections, then look for changes until it is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="pairdex-reader") as thread:
            try:
                await loop.run_in_executor(thread, self._warm_all)
                self.when_warm()
                while True:
                    self._start_indexing()
                    await asyncio.sleep(self._poll_seconds)
                    changed = await loop.run_in_executor(thread, self._newer)
                    for (
                        served
                    ) in changed:  # on the loop's thread, so that requests see whole switches
                        self._catalogue.replace(served)
                        self._metrics.count_reopened()
                        _logger.info(
                            "%s has changed: its newest version is now in use", served.name
                        )
                    self._searches.keep_only(set(self._catalogue))
            finally:
                self._closing.set()

    def _warm_all(self) -> None:
        for served in self._catalogue:
            path = served.collection.path
            try:
                state = state_of(path)
                with faults.checked(f"opening {served.name}"):
                    self._warm(served.collection)
                if read_any_manifest(path).checksum == served.collection.manifest.checksum:
                    self._states[served.name] = state
            except _Closing:
                return
            except (PairdexError, OSError) as error:
                self.failed = served.name
                _logger.error("%s cannot be searched: %s", served.name, error)
        self.is_warm = self.failed is None

    def _start_indexing(self) -> None:
        """Start to index the captions that lack it, so that no request waits for it."""
        if self._indexing is not None and self._indexing.is_alive():
            return
        wanted = [served for served in self._catalogue if self._needs_indexing(served)]
        if wanted:
            # A daemon: the service ends without waiting, and half-written files are ignored.
            self._indexing = Thread(
                target=self._index_captions, args=(wanted,), daemon=True, name="pairdex-captions"
            )
            self._indexing.start()

    def _needs_indexing(self, served: ServedCollection) -> bool:
        captions = served.collection.finder.captions
        return captions.exist and not captions.are_ready and served not in self._unindexable

    def _index_captions(self, wanted: list[ServedCollection]) -> None:
        for served in wanted:
            self._index_captions_of(served)

    def _index_captions_of(self, served: ServedCollection) -> None:
        try:
            while not self._save_keywords(served):
                if self._closing.wait(self._poll_seconds):
                    return
            served.collection.prepare_keywords()
        except (PairdexError, OSError) as error:
            self._unindexable.add(served)
            _logger.error("the captions of %s cannot be indexed: %s", served.name, error)

    def _save_keywords(self, served: ServedCollection) -> bool:
        """Index the captions on disk; return False if another process, such as a worker, does so."""
        try:
            make_files(served.collection.finder.store, KEYWORDS)
        except CollectionBusy:
            return False
        except WriteFailed:  # `prepare_keywords` keeps them in memory, and says so
            return True
        return True

    def _newer(self) -> list[ServedCollection]:
        """Return the newest versions, warm, of the collections that have changed."""
        found = []
        for served in self._catalogue:
            try:
                served.check_files()
            except PairdexError as error:
                self._catalogue.set_trouble(served.name, error)
                self._say_once(served.name, f"cannot be served now: {error}")
                continue
            self._catalogue.set_trouble(served.name, None)
            try:
                newest = self._newest(served)
            except _Closing:
                return []
            except (PairdexError, OSError) as error:
                self._say_once(served.name, f"has changed, but cannot be opened: {error}")
                continue
            self._said.pop(served.name, None)
            if newest is not None:
                found.append(newest)
        return found

    def _newest(self, served: ServedCollection) -> ServedCollection | None:
        """Return a changed collection's newest version; None if it has not changed or is not ready."""
        name, path = served.name, served.collection.path
        lost_pages = faults.count()
        state = state_of(path)
        if state == self._states.get(name) and served.lost_pages == lost_pages:
            return None
        self._states[name] = state  # a damaged version is not opened again until it changes
        collection = served.collection.reopened()
        with faults.checked(f"opening {name}"):
            self._warm(collection)
        is_prepared = all(collection.is_prepared(on) for on in collection.manifest.vectors)
        self._tries[name] = 0 if is_prepared else self._tries.get(name, 0) + 1
        if (
            0 < self._tries[name] < CODES_RETRIES
        ):  # a build holds the lock, usually for its last moments
            del self._states[name]
            return None
        if self.failed == name:
            self.failed, self.is_warm = None, True
        return ServedCollection.of(name, collection, lost_pages=lost_pages)

    def _say_once(self, name: str, message: str) -> None:
        """Log an error of a collection, unless it is the same as the one before."""
        if self._said.get(name) != message:
            self._said[name] = message
            _logger.error("%s %s", name, message)

    def _warm(self, collection: Collection) -> None:
        """Map the files that searches need and search once, so that the first request is fast."""
        for on in collection.manifest.vectors:
            of = f"of {collection.name}, {on} vectors"
            collection.prepare(on, progress=partial(self._report, of))
            if len(collection.vectors(on)):
                vector = collection.vectors(on)[0].astype(np.float32)
                collection.search(Query(vector=vector), k=1, on=on)
            self._stop_if_closing()
        if "encoder" in vars(collection):  # loaded by the catalogue, if there is a model
            collection.encoder.encode_texts(["a picture"])
            collection.encoder.encode_images([Image.new("RGB", (8, 8))])

    def _report(self, of: str, step: str, done: int, rows: int) -> None:
        self._stop_if_closing()
        self._progress(f"{step} {of}", done, rows)

    def _stop_if_closing(self) -> None:
        if self._closing.is_set():
            raise _Closing


def state_of(collection: Path) -> State:
    """Return what changes whenever the collection, or data of any kind derived from it, does.

    Look-ups are left out: answers do not depend on whether they are made.
    """
    folders = [collection]
    if is_sharded(collection):
        folders += [collection / shard.path for shard in read_shard_list(collection).shards]
    paths = [folder / MANIFEST for folder in folders]
    kinds = [kind for kind in KINDS if kind.heading != "look-ups"]
    for pattern in {pattern for kind in kinds for pattern in kind.files}:
        paths += [path for folder in folders for path in folder.glob(pattern)]
    found = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:  # replaced at this moment
            continue
        found.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
