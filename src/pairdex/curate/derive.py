"""Derive a collection from selected rows of another: same vectors and columns, new ids."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.curate.carry_scores import Kept, carry_scores
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.files import checksums
from pairdex.files.vector_writer import writing_vectors
from pairdex.files.vectors import VectorFile, open_vectors
from pairdex.progress import StepProgress
from pairdex.store.build import BuildReport
from pairdex.store.folder import claimed, make_folders, tidy
from pairdex.store.manifest import (
    MANIFEST,
    Manifest,
    Origin,
    PartEntry,
    read_manifest,
    write_manifest,
)
from pairdex.store.metadata import BATCH_ROWS, MetadataFile, writing_metadata
from pairdex.store.staging import STAGING, run_tasks
from pairdex.store.store import Store
from pairdex.store.write_part import described
from pairdex.version import __version__
from pairdex.work.executors import Advance, check_workers, executor_for

__all__ = ["LEFT_OUT", "derive_collection", "derived_before"]

LEFT_OUT = "left_out"  # the reason under which `dropped` counts rows that the rule left out

_Copy = Callable[[int, NDArray[np.bool_]], None]


def derive_collection(
    store: Store,
    new: Path,
    keep: NDArray[np.bool_],
    *,
    origin: Origin,
    workers: int = 1,
    cluster: str | None = None,
    progress: StepProgress | None = None,
) -> BuildReport:
    """Make a collection of the kept rows, in order. Repeat the call to resume.

    `part` and `row` of every row still refer to its released part.

    Parameters
    ----------
    keep
        Flags of the rows to keep, shape (store.rows,). Removed rows are always left out.
    origin
        A record of the source collection and of the selection rule, for the new manifest.
    cluster
        The address of a Ray cluster whose nodes write the parts, or `auto`. The paths of both collections are
        absolute then.
    progress
        Called with the number of rows read and the total.

    Raises
    ------
    InvalidArgument
        No row is kept, or `new` already holds another collection.
    PairdexError
        A file is damaged, another process is writing, or the disk is full. No partial collection is
        left.
    """
    started = time.perf_counter()
    assert keep.shape == (store.rows,), keep.shape
    check_workers(workers, cluster)
    removed = store.removed
    if store.checksum != origin.checksum:
        raise Mismatch(f"rows were removed from {store.path} meanwhile: run the same command again")
    if removed is not None:
        keep = keep & ~removed
    if not keep.any():
        raise InvalidArgument(
            f"no row of {store.path} is left by {_shown(origin)}; a collection needs one"
        )
    with claimed(new) as before:
        if before is not None:
            _check_same(new, before, origin)
            tidy(new, before)
            return BuildReport.of(before, 0, time.perf_counter() - started)
        manifest = replace(
            store.manifest,
            name=new.resolve().name,
            created_by=f"pairdex {__version__}",
            parts=[],
            origin=origin,
        )
        make_folders(new, manifest)
        tasks = _tasks(store, new, keep)
        with executor_for(workers=workers, cluster=cluster, folders=(store.path, new)) as executor:
            entries = run_tasks(tasks, executor, progress=progress)
        manifest = replace(manifest, parts=entries)
        carry_scores(
            store.path,
            new,
            [Kept(task.part, entry, task.keep) for task, entry in zip(tasks, entries, strict=True)],
        )
        write_manifest(new, manifest)
        tidy(new, manifest)
    return BuildReport.of(manifest, manifest.rows, time.perf_counter() - started)


def derived_before(new: Path, origin: Origin) -> BuildReport | None:
    """Report the collection `new` if it is complete and has this origin; None if it is not complete.

    Raises
    ------
    InvalidArgument
        `new` is a collection of another origin.
    """
    if not (new / MANIFEST).exists() or (new / STAGING).exists():
        return None
    started = time.perf_counter()
    before = read_manifest(new)
    _check_same(new, before, origin)
    return BuildReport.of(before, 0, time.perf_counter() - started)


def _check_same(new: Path, before: Manifest, origin: Origin) -> None:
    if before.origin != origin:
        was = "built from parts"
        if before.origin is not None:
            was = (
                f"made of {before.origin.collection} ({before.origin.checksum[:12]}) "
                f"by {_shown(before.origin)}"
            )
        raise InvalidArgument(
            f"{new} is a collection already, {was}: name a new folder", field="new"
        )


def _shown(origin: Origin) -> str:
    given = {name: value for name, value in origin.rule.items() if value is not None}
    command = given.pop("command", "a rule")
    return " ".join([str(command), *(f"{name}={value}" for name, value in given.items())])


@dataclass(frozen=True, eq=False)
class _Task:
    """The work for one part: `keep` flags its rows in the source collection."""

    index: int
    collection: Path
    parent: Path
    dim: int
    part: PartEntry
    keep: NDArray[np.bool_]
    limit: None = None

    @property
    def rows(self) -> int:
        return self.part.rows

    @property
    def files(self) -> dict[str, str]:
        return {
            kind: f"{kind}/{self.index:05d}{Path(file.path).suffix}"
            for kind, file in self.part.files.items()
        }

    def limited(self, limit: int) -> _Task:
        raise AssertionError(f"which rows to keep is decided; {limit} cannot change it")

    def fingerprint(self) -> str:
        sources = [file.checksum for file in self.part.files.values()]
        kept = checksums.of_bytes(np.packbits(self.keep).tobytes())
        facts = [sources, kept, self.rows, self.files, self.part.number, self.part.pictures]
        return checksums.of_bytes(json.dumps([*facts, __version__]).encode())

    def write(self, advance: Advance | None = None) -> PartEntry:
        with ThreadPoolExecutor(len(self.files)) as pool, _copies(self) as copies:
            for first in range(0, self.rows, BATCH_ROWS):
                keep = self.keep[first : first + BATCH_ROWS]
                if keep.any():
                    for copied in [pool.submit(copy, first, keep) for copy in copies]:
                        copied.result()
                if advance:
                    advance(len(keep))
        return self._entry()

    def _entry(self) -> PartEntry:
        kept = int(np.count_nonzero(self.keep))
        files = self.files
        with ThreadPoolExecutor(len(files)) as pool:
            written = pool.map(lambda path: described(self.collection / path, path), files.values())
            return replace(
                self.part,
                rows=kept,
                rows_read=self.rows,
                dropped={LEFT_OUT: self.rows - kept},
                files=dict(zip(files, written, strict=True)),
                sources=list(self.part.files.values()),
                rounded=0,
                invalid={},
                zero_run=0,
                replaces=[],
            )


def _tasks(store: Store, new: Path, keep: NDArray[np.bool_]) -> list[_Task]:
    """Return a task for each part with at least one kept row."""
    kept = [
        (part, keep[first : first + part.rows])
        for index, part in enumerate(store.manifest.parts)
        if keep[(first := store.first_id(index)) : first + part.rows].any()
    ]
    return [
        _Task(index, new, store.path, store.dim, part, flags)
        for index, (part, flags) in enumerate(kept)
    ]


@contextmanager
def _copies(task: _Task) -> Iterator[list[_Copy]]:
    """Return one function per file of a part; it appends a block's kept rows to the new file."""
    with ExitStack() as stack:
        copies = []
        for kind, name in task.files.items():
            source, target = task.parent / task.part.files[kind].path, task.collection / name
            if kind == "metadata":
                file = MetadataFile(source, task.rows, mapped=False)
                metadata = stack.enter_context(writing_metadata(target, file.schema))
                copies.append(_metadata_copy(file, metadata.append))
            else:
                vectors = _opened(source, task)
                writer = stack.enter_context(writing_vectors(target, task.dim))
                copies.append(_vectors_copy(vectors, writer.append))
        yield copies


def _opened(path: Path, task: _Task) -> VectorFile:
    file = open_vectors(path)
    if (file.rows, file.dim) != (task.rows, task.dim):
        raise DamagedFile(f"{path} is damaged: its header does not fit the manifest")
    return file


def _vectors_copy(file: VectorFile, append: Callable[[NDArray[np.float16]], None]) -> _Copy:
    row_bytes = file.dim * file.dtype.itemsize

    def copy(first: int, keep: NDArray[np.bool_]) -> None:
        # Map only this block: pages of a map of the whole file would stay in memory.
        shape, offset = (len(keep), file.dim), file.offset + first * row_bytes
        block = np.memmap(file.path, file.dtype, mode="r", offset=offset, shape=shape)
        append(block if keep.all() else block[keep])

    return copy


def _metadata_copy(file: MetadataFile, append: Callable[[pa.Table], None]) -> _Copy:
    def copy(first: int, keep: NDArray[np.bool_]) -> None:
        append(file.table(first // BATCH_ROWS).filter(pa.array(keep)))

    return copy
