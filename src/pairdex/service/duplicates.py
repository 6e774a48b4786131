"""Groups of near-duplicates for the REST interface, found in the background and cached.

The first request for a threshold starts the work and says how far it is; later ones get the groups.
Processes of one service share a folder: one of them computes, all of them read the results.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pairdex.curate.duplicate_groups import DuplicateGroups, find_groups
from pairdex.errors import CollectionBusy, InvalidArgument, Mismatch, PairdexError
from pairdex.files import atomic, faults, lock
from pairdex.progress import Progress
from pairdex.service import limits, lookup
from pairdex.service.catalogue import ServedCollection
from pairdex.service.errors import ApiError
from pairdex.service.request_models import DuplicateGroupRequest, DuplicatesRequest
from pairdex.store.manifest import not_on_shards
from pairdex.store.sharded import ShardedStore
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.wording import counted
from pairdex.work.processors import usable_processors

__all__ = ["Duplicates", "DuplicatesQuery"]

_STEPS_OF_1 = 100  # thresholds are hundredths, so that few of them are computed
_ARRAYS = ("kept", "starts", "ids", "distances")
_NAMES = ("status", "step", "done", "total", "groups", "dropped", "seconds", "next")
_SCRATCH = "work"
_BUSY_SECONDS = 0.5  # between looks whether another process has finished


class _NotWanted(Exception):
    """Nobody asks for the groups any more, or the service ends."""


@dataclass(frozen=True)
class DuplicatesQuery:
    """Which groups: of which version of a collection, by which vectors, and within which distance."""

    collection: str
    checksum: str
    on: VectorField
    safe: bool
    threshold: float

    @property
    def file_name(self) -> str:
        """The name of the file that holds the groups."""
        text = json.dumps([__version__, asdict(self)])
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


@dataclass
class _Job:
    query: DuplicatesQuery
    served: ServedCollection
    asked_at: float
    is_running: bool = False
    state: tuple[str, int, int] = ("waiting", 0, 0)
    error: Exception | None = None


@dataclass
class _Found:
    groups: DuplicateGroups
    seconds: float


@dataclass
class Duplicates:
    """The groups of near-duplicates of the collections, as far as they were asked for.

    Parameters
    ----------
    shared
        A folder that all processes of the service use; None: this process makes one of its own.
    """

    shared: Path | None = None
    _jobs: dict[DuplicatesQuery, _Job] = field(default_factory=dict)
    _found: OrderedDict[DuplicatesQuery, _Found] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _own: Path | None = None

    def page(self, served: ServedCollection, asked: DuplicatesRequest) -> dict[str, Any]:
        """Return some groups with the first rows of each, or how far the work is.

        Raises
        ------
        ApiError
            422, the collection has too many rows; 503, too many searches wait.
        InvalidArgument
            The collection is sharded, its metric is not the cosine, or it does not have these vectors or
            safe mode; the threshold is not a multiple of 0.01.
        """
        query = _query_of(served, asked)
        answer: dict[str, Any] = dict.fromkeys(_NAMES)
        answer |= {"threshold": query.threshold, "on": query.on, "safe": query.safe, "items": []}
        found = self._ask(served, query)
        if isinstance(found, _Job):
            step, done, total = found.state
            return {**answer, "status": "working", "step": step, "done": done, "total": total}
        groups = found.groups
        end = min(asked.offset + asked.k, len(groups))
        return {
            **answer,
            "status": "ready",
            "groups": len(groups),
            "dropped": len(groups.ids),
            "seconds": found.seconds,
            "next": end if end < len(groups) else None,
            "items": [
                {
                    "size": groups.size(group),
                    "next": asked.rows if asked.rows < groups.size(group) else None,
                    "rows": _rows(served, groups, group, 0, asked.rows),
                }
                for group in range(asked.offset, end)
            ],
        }

    def group(
        self, served: ServedCollection, kept: int, asked: DuplicateGroupRequest
    ) -> dict[str, Any]:
        """Return some rows of one group.

        Raises
        ------
        ApiError
            404, no group keeps this row; 409, the groups are not found yet.
        """
        found = self._ask(served, _query_of(served, asked))
        if isinstance(found, _Job):
            message = "the near-duplicates are being looked for; ask again in a while"
            raise ApiError(409, "working", message, headers={"Retry-After": "1"})
        number = found.groups.find(kept)
        if number is None:
            raise ApiError(404, "not_found", f"no group keeps row {kept}", "id")
        size, end = found.groups.size(number), asked.offset + asked.k
        return {
            "size": size,
            "next": end if end < size else None,
            "rows": _rows(served, found.groups, number, asked.offset, end),
        }

    def close(self) -> None:
        """Stop the work, and remove the folder that this process made."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(1.0)
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _ask(self, served: ServedCollection, query: DuplicatesQuery) -> _Found | _Job:
        with self._lock:
            found = self._known(query)
            if found is not None:
                return found
            job = self._jobs.get(query)
            if job is None:
                self._forget_old()
                if len(self._jobs) >= limits.WAITING_DUPLICATES:
                    message = "too many searches for near-duplicates wait; ask again in a while"
                    raise ApiError(503, "busy", message, headers={"Retry-After": "5"})
                job = self._jobs[query] = _Job(query, served, time.monotonic())
            if job.error is not None:
                del self._jobs[query]
                raise job.error
            job.asked_at = time.monotonic()
            if self._thread is None:
                # A daemon: the service ends without waiting for it.
                self._thread = threading.Thread(
                    target=self._work, daemon=True, name="pairdex-duplicates"
                )
                self._thread.start()
            return job

    def _known(self, query: DuplicatesQuery) -> _Found | None:
        """Return groups from memory, or from the file that a process of this service wrote."""
        if query not in self._found:
            path = self._folder() / query.file_name
            if not path.exists():
                return None
            with np.load(path) as saved:
                groups = DuplicateGroups(*(saved[name] for name in _ARRAYS))
                self._found[query] = _Found(groups, float(saved["seconds"]))
            while len(self._found) > limits.KEPT_DUPLICATES:
                self._found.popitem(last=False)
        self._found.move_to_end(query)
        return self._found[query]

    def _folder(self) -> Path:
        if self.shared is not None:
            atomic.make_folder(self.shared)
            return self.shared
        if self._own is None:
            self._own = Path(tempfile.mkdtemp(prefix="pairdex-duplicates-"))
        return self._own

    def _work(self) -> None:
        """Compute what is asked for, one after the other, until nothing is."""
        job: _Job | None = None
        while True:
            with self._lock:
                if job is not None and job.error is None:
                    del self._jobs[job.query]
                job = self._next()
                if job is None:
                    self._thread = None
                    return
            try:
                with suppress(_NotWanted):
                    self._compute(job)
            except (PairdexError, OSError) as error:
                job.error = error
            job.is_running = False

    def _next(self) -> _Job | None:
        """Return the job that was asked for last, if one waits."""
        self._forget_old()
        waiting = [job for job in self._jobs.values() if job.error is None]
        if self._closing.is_set() or not waiting:
            return None
        job = max(waiting, key=lambda job: job.asked_at)
        job.is_running = True
        return job

    def _forget_old(self) -> None:
        for query, job in list(self._jobs.items()):
            if _is_old(job) and not job.is_running:
                del self._jobs[query]

    def _compute(self, job: _Job) -> None:
        """Write the groups of a job to its file, unless another process does so first."""
        started = time.monotonic()

        def show(step: str, done: int, total: int) -> None:
            if self._closing.is_set() or _is_old(job):
                raise _NotWanted
            job.state = (step, done, total)

        folder = self._folder()
        scratch = folder / _SCRATCH
        atomic.make_folder(scratch)
        while not (folder / job.query.file_name).exists():
            show("waiting", 0, 0)
            try:
                with lock.writing(scratch), faults.checked(f"reading {job.query.collection}"):
                    groups = _find(job, scratch / "codes", show)
            except CollectionBusy:
                self._closing.wait(_BUSY_SECONDS)
                continue
            arrays = {name: getattr(groups, name) for name in _ARRAYS}
            with atomic.replacing(folder / job.query.file_name) as file:
                np.savez(file, **arrays, seconds=np.float64(time.monotonic() - started))
            _remove_oldest(folder)


def _query_of(
    served: ServedCollection, asked: DuplicatesRequest | DuplicateGroupRequest
) -> DuplicatesQuery:
    on, threshold = asked.on, asked.threshold
    store = served.collection.finder.store
    store.check_cosine("the search for near-duplicates")
    if isinstance(store, ShardedStore):
        raise not_on_shards(served.name)
    is_safe = lookup.wants_safe(served, asked.safe)
    served.collection.narrowed(None, safe=is_safe)
    if on not in served.kinds:
        raise InvalidArgument(f"{served.name} does not have {on} vectors", field="on")
    rounded = round(threshold * _STEPS_OF_1) / _STEPS_OF_1
    if abs(rounded - threshold) > 1e-9:
        raise InvalidArgument(
            f"the threshold is {threshold:g}, expected a multiple of {1 / _STEPS_OF_1:g}",
            field="threshold",
        )
    if len(served.collection) > limits.MAX_DUPLICATE_ROWS:
        raise ApiError(
            422,
            "too_many_rows",
            f"{served.name} has {counted(len(served.collection), 'row')}; the service compares at most "
            f"{limits.MAX_DUPLICATE_ROWS:,}: run `pairdex dedup {served.name} NEW --report groups.parquet` "
            "where the collection is stored",
        )
    return DuplicatesQuery(served.name, served.collection.checksum, on, is_safe, rounded)


def _find(job: _Job, folder: Path, show: Progress) -> DuplicateGroups:
    query, collection = job.query, job.served.collection
    store = Store(collection.path)
    if store.checksum != query.checksum:
        raise Mismatch(f"rows were removed from {query.collection} meanwhile: ask again")
    allowed = store.allowed(collection.narrowed(None, safe=query.safe))
    plan = {name: value for name, value in asdict(query).items() if name != "threshold"}
    return find_groups(
        store.vectors(query.on),
        range(store.rows) if allowed is None else np.flatnonzero(allowed),
        folder,
        threshold=query.threshold,
        plan={**plan, "version": __version__},
        threads=max(1, usable_processors() // 2),  # searches need the others
        progress=show,
    )


def _rows(
    served: ServedCollection, groups: DuplicateGroups, group: int, first: int, end: int
) -> list[dict[str, Any]]:
    """Return rows of a group with their distance to the kept row, None for that one itself."""
    ids, distances = groups.rows(group, first, end)
    rows = lookup.read_rows(served, ids.tolist())
    return [
        {"id": row["id"], **_distances(distance)} | row
        for row, distance in zip(rows, distances.tolist(), strict=True)
    ]


def _distances(distance: float) -> dict[str, float | None]:
    if np.isnan(distance):
        return {"distance": None, "similarity": None}
    return {"distance": distance, "similarity": 1 - distance}


def _is_old(job: _Job) -> bool:
    return time.monotonic() - job.asked_at > limits.ABANDONED_SECONDS


def _remove_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
    for path in files[: -limits.KEPT_DUPLICATE_FILES]:
        with suppress(FileNotFoundError):
            path.unlink()
