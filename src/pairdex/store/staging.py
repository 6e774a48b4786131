"""Doing parts once: a record of each finished part, so that an interrupted build goes on behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from pairdex.files.unfinished import read_note, write_note
from pairdex.progress import Meter, StepProgress
from pairdex.store.manifest import FileEntry, PartEntry
from pairdex.work.executors import Advance, Executor, do_all

__all__ = ["STAGING", "Task", "run_tasks"]

STAGING = ".build"
_TASK_BYTES = 1 << 30  # of one part's work: blocks of vectors and metadata, and the libraries


class Task(Protocol):
    """One part to write: the same task writes the same bytes, in this process or another."""

    @property
    def index(self) -> int:
        """The part's number in the collection, from 0."""

    @property
    def collection(self) -> Path:
        """The collection's folder."""

    @property
    def rows(self) -> int:
        """How many rows are to be read."""

    @property
    def limit(self) -> int | None:
        """How many rows to keep at most."""

    def limited(self, limit: int) -> Task:
        """Return the task with another limit."""

    def fingerprint(self) -> str:
        """Name the task by all that its result depends on."""

    def write(self, advance: Advance | None = None) -> PartEntry:
        """Write the part's files and return what the manifest will say of them."""


def run_tasks(
    tasks: Sequence[Task], executor: Executor, *, progress: StepProgress | None
) -> list[PartEntry]:
    """Do the tasks and return their entries in order.

    A limit makes the tasks wait for each other, since what one keeps is taken from what the next may.
    They run in this process then.
    """
    total = sum(task.rows for task in tasks)
    limited = any(task.limit is not None for task in tasks)
    meter = Meter(total, progress)
    if limited:
        return list(_one_by_one(tasks, meter))
    sizes = [task.rows for task in tasks]
    return do_all(executor, _once, tasks, sizes, meter.advance, memory_bytes=_TASK_BYTES)


def _one_by_one(tasks: Sequence[Task], meter: Meter) -> Iterator[PartEntry]:
    left = tasks[0].limit if tasks else None
    for task in tasks:
        if left == 0:
            return
        entry = _once(task if left is None else task.limited(left), meter.advance)
        left = None if left is None else left - entry.rows
        yield entry


def _once(task: Task, advance: Advance | None = None) -> PartEntry:
    """Do a task, unless an earlier, interrupted build has done the very same one."""
    record = task.collection / STAGING / f"{task.index:05d}.json"
    fingerprint = task.fingerprint()
    earlier = _recorded(record, fingerprint, task.collection)
    if earlier is not None:
        if advance:
            advance(task.rows)
        return earlier
    record.unlink(missing_ok=True)  # it would vouch for files that are about to be replaced
    entry = task.write(advance)
    content = {"fingerprint": fingerprint, "entry": asdict(entry)}
    write_note(record, content)
    return entry


def _recorded(record: Path, fingerprint: str, collection: Path) -> PartEntry | None:
    content = read_note(record)
    if content is None or content["fingerprint"] != fingerprint:
        return None
    entry = PartEntry.from_json(content["entry"])
    return entry if all(_is_whole(collection, file) for file in entry.files.values()) else None


def _is_whole(collection: Path, file: FileEntry) -> bool:
    path = collection / file.path
    return path.is_file() and path.stat().st_size == file.bytes
