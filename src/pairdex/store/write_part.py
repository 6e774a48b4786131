"""Writing one part of a collection: vectors and metadata in lockstep, in one streaming pass.

A part is an idempotent unit of work: the same task writes the same bytes, alone or beside others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex._native import check_rows
from pairdex.errors import DamagedFile
from pairdex.files import checksums
from pairdex.files.links import link
from pairdex.files.vector_writer import DTYPE, writing_vectors
from pairdex.parts.columns import ORIGIN, Column, with_source_names
from pairdex.parts.note import Note
from pairdex.parts.nsfw import kept
from pairdex.parts.part import Part, PartVectors
from pairdex.parts.tables import part_tables
from pairdex.predicate import Predicate
from pairdex.store.linking import linkable
from pairdex.store.manifest import FileEntry, PartEntry
from pairdex.store.metadata import writing_metadata
from pairdex.store.plan import Selection, source_name
from pairdex.version import __version__
from pairdex.wording import counted
from pairdex.work.executors import Advance

__all__ = ["DROP_REASONS", "PartTask", "as_stored", "described", "part_files", "write_part"]

# Why a row is not kept; a row with several reasons counts under the first.
DROP_REASONS = ("non_finite", "zero", "nsfw", "where")

_BLOCK_BYTES = 32 << 20  # vectors held at once for each of image and text, twice while written
_ZERO, _NON_FINITE = 1, 2  # what check_rows says of a row
_KEPT = len(DROP_REASONS)
_LONG_RUN = 256  # rows of zeros in a row that no encoder writes
_KINDS = 3  # image vectors, text vectors and metadata are read, and written, side by side


@dataclass(frozen=True)
class PartTask:
    """What to do for one part: `index` is its number in the collection, from 0."""

    index: int
    part: Part
    source: Path
    collection: Path
    columns: list[Column]
    selection: Selection
    note: Note
    link: bool = False

    @property
    def rows(self) -> int:
        """How many rows are to be read."""
        return self.part.rows

    @property
    def limit(self) -> int | None:
        """How many rows to keep at most."""
        return self.selection.limit

    def limited(self, limit: int) -> PartTask:
        """Return the task with another limit."""
        return replace(self, selection=replace(self.selection, limit=limit))

    def fingerprint(self) -> str:
        """Name the task by all that its result depends on."""
        part, rule = self.part, self.selection
        sources = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in part.files]
        members = [part.image.member, part.text.member if part.text else None]
        columns = [
            (c.name, str(c.type), c.source, [str(kind) for kind in c.via], c.is_first)
            for c in self.columns
        ]
        rules = [rule.nsfw, rule.where, rule.limit, part.number, asdict(self.note), self.link]
        text = json.dumps([sources, members, columns, rules, part_files(self), __version__])
        return checksums.of_bytes(text.encode())

    def write(self, advance: Advance | None = None) -> PartEntry:
        """Write the kept rows of the part and return what the manifest will say of them."""
        return write_part(self, advance)


@dataclass(frozen=True)
class _Block:
    vectors: dict[str, NDArray[np.float16]]
    table: pa.Table
    flags: NDArray[np.uint8]
    rounded: int


@dataclass
class _Tally:
    """What is counted while a part is read."""

    reasons: NDArray[np.int64]
    invalid: Counter[str]
    rounded: int = 0
    zero_run: int = 0
    zeros_at_end: int = 0

    def add(self, why: NDArray[np.uint8], block: _Block) -> None:
        self.reasons += np.bincount(why, minlength=len(self.reasons))
        self.rounded += block.rounded
        others = np.flatnonzero(block.flags != _ZERO)
        ends = np.concatenate([[-1 - self.zeros_at_end], others, [len(block.flags)]])
        self.zero_run = max(self.zero_run, int(np.diff(ends).max()) - 1)
        self.zeros_at_end = int(ends[-1] - ends[-2]) - 1


_Append = Callable[[_Block, NDArray[np.bool_], ThreadPoolExecutor], list[Future[None]]]


def part_files(task: PartTask) -> dict[str, str]:
    """Return the paths of the files that a task writes, relative to the collection, by kind."""
    files = {"image": f"image/{task.index:05d}.npy"}
    if task.part.text is not None:
        files["text"] = f"text/{task.index:05d}.npy"
    return files | {"metadata": f"metadata/{task.index:05d}.arrow"}


def write_part(task: PartTask, advance: Advance | None = None) -> PartEntry:
    """Write the kept rows of a part and return what the manifest will say of them.

    `advance` is called with the number of rows that were read since its last call.

    Raises
    ------
    DamagedFile, InvalidPredicate, WriteFailed
        A source file cannot be read, the filter fails on it, or there is no room.
    """
    files = part_files(task)
    linked = linkable(task.part) if task.link else {}
    if linked:
        rest = {kind: path for kind, path in files.items() if kind not in linked}
        tally = _write(task, rest, advance)
        if tally.reasons[_KEPT] == task.part.rows:
            how = [link(path, task.collection / files[kind]) for kind, path in linked.items()]
            if None not in how:
                return replace(
                    _entry(task, files, tally), link=" and ".join(sorted({*map(str, how)}))
                )
        advance = None  # its rows are counted
    entry = _entry(task, files, _write(task, files, advance))
    return replace(entry, link="copy") if task.link else entry


def _write(task: PartTask, files: dict[str, str], advance: Advance | None) -> _Tally:
    """Write the kept rows to the given files, which may be some of the part's; return the counts."""
    predicate = Predicate(task.selection.where) if task.selection.where is not None else None
    tally = _Tally(np.zeros(len(DROP_REASONS) + 1, np.int64), Counter())
    with ThreadPoolExecutor(_KINDS) as pool, _writing(task, files) as append:
        pending: list[Future[None]] = []
        for block in _blocks(task.part, task.columns, pool, tally.invalid):
            why = _reasons(block, task, predicate)
            if task.selection.limit is not None:
                why = why[: _rows_until(why == _KEPT, task.selection.limit - tally.reasons[_KEPT])]
            _wait(pending)
            pending = append(block, why == _KEPT, pool)
            tally.add(why, block)
            if advance:
                advance(len(why))
            if tally.reasons[_KEPT] == task.selection.limit:
                break
        _wait(pending)
    _check_zeros(task.part, tally)
    return tally


def _check_zeros(part: Part, tally: _Tally) -> None:
    """Refuse a part most of whose vectors are zeros: a file that was reserved but not fetched."""
    zeros = int(tally.reasons[DROP_REASONS.index("zero")])
    if tally.zero_run >= _LONG_RUN and 2 * zeros > int(tally.reasons.sum()):
        raise DamagedFile(
            f"{part.image.path} is mostly zeros ({zeros:,} of {counted(int(tally.reasons.sum()), 'row')}): it was "
            "reserved but not fetched; go on fetching it, or fetch it again"
        )


@contextmanager
def _writing(task: PartTask, files: dict[str, str]) -> Iterator[_Append]:
    """Give a function that appends a block's kept rows to all files of a part, side by side."""
    columns = [*((column.name, column.type) for column in task.columns), *ORIGIN]
    with ExitStack() as stack:
        metadata = stack.enter_context(
            writing_metadata(task.collection / files["metadata"], pa.schema(columns))
        )
        vectors = {
            kind: stack.enter_context(writing_vectors(task.collection / path, task.part.dim))
            for kind, path in files.items()
            if kind != "metadata"
        }

        def append(
            block: _Block, keep: NDArray[np.bool_], pool: ThreadPoolExecutor
        ) -> list[Future[None]]:
            table = block.table.slice(0, len(keep))
            table = table if keep.all() else table.filter(pa.array(keep))
            return [
                pool.submit(metadata.append, table),
                *(
                    pool.submit(w.append, _selected(block.vectors[k], keep))
                    for k, w in vectors.items()
                ),
            ]

        yield append


def _wait(pending: list[Future[None]]) -> None:
    for future in pending:
        future.result()


def _blocks(
    part: Part, columns: list[Column], pool: ThreadPoolExecutor, invalid: Counter[str]
) -> Iterator[_Block]:
    """Read image vectors, text vectors and metadata of the same rows, side by side."""
    block_rows = max(1, _BLOCK_BYTES // (part.dim * DTYPE.itemsize))
    sources = {"image": part.image} | ({"text": part.text} if part.text else {})
    readers = {kind: _checked_blocks(file, block_rows) for kind, file in sources.items()}
    tables = part_tables(part, columns, block_rows, invalid)
    for _ in range(0, part.rows, block_rows):
        futures = {kind: pool.submit(next, reader) for kind, reader in readers.items()}
        table = next(tables)
        read = {kind: future.result() for kind, future in futures.items()}
        flags = np.maximum.reduce([flags for _, flags, _ in read.values()])
        rounded = sum(rounded for _, _, rounded in read.values())
        yield _Block({kind: one[0] for kind, one in read.items()}, table, flags, rounded)


def _checked_blocks(
    file: PartVectors, block_rows: int
) -> Iterator[tuple[NDArray[np.float16], NDArray[np.uint8], int]]:
    """Yield blocks in the collection's dtype, what is wrong with each row, and how many were rounded."""
    for block in file.blocks(block_rows):
        stored, rounded = as_stored(block)
        yield stored, check_rows(stored), rounded


def as_stored(block: NDArray[Any]) -> tuple[NDArray[np.float16], int]:
    """Return vectors in a collection's dtype, and how many rows that rounded."""
    if block.dtype == DTYPE:
        return block, 0
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite and is dropped
        stored = block.astype(DTYPE)
    is_exact = (stored == block) | np.isnan(block)
    return stored, int(np.count_nonzero(~is_exact.all(axis=1)))


def _reasons(block: _Block, task: PartTask, predicate: Predicate | None) -> NDArray[np.uint8]:
    """Give each row the number of the first reason to drop it, or of none."""
    why = np.full(len(block.table), _KEPT, np.uint8)
    if predicate is not None:
        why[~predicate.mask(with_source_names(block.table, task.columns))] = DROP_REASONS.index(
            "where"
        )
    if task.selection.nsfw != "none":
        why[~kept(task.selection.nsfw, block.table["nsfw"])] = DROP_REASONS.index("nsfw")
    why[block.flags == _ZERO] = DROP_REASONS.index("zero")
    why[block.flags == _NON_FINITE] = DROP_REASONS.index("non_finite")
    return why


def _rows_until(keep: NDArray[np.bool_], limit: int) -> int:
    """Return how many rows to look at until `limit` of them are kept."""
    positions = np.flatnonzero(keep)
    return len(keep) if len(positions) < limit else int(positions[limit - 1]) + 1


def _selected(vectors: NDArray[np.float16], keep: NDArray[np.bool_]) -> NDArray[np.float16]:
    looked_at = vectors[: len(keep)]
    return looked_at if keep.all() else looked_at[keep]


def _entry(task: PartTask, files: dict[str, str], tally: _Tally) -> PartEntry:
    part, counts = task.part, tally.reasons
    with ThreadPoolExecutor(_KINDS) as pool:
        written = pool.map(lambda path: described(task.collection / path, path), files.values())
        sources = pool.map(lambda path: described(path, source_name(path, task.source)), part.files)
        return PartEntry(
            number=part.number,
            rows=int(counts[_KEPT]),
            rows_read=int(counts.sum()),
            dropped=dict(zip(DROP_REASONS, counts[:_KEPT].tolist(), strict=True)),
            files=dict(zip(files, written, strict=True)),
            sources=list(sources),
            pictures=task.note.pictures,
            rounded=tally.rounded,
            orientation=task.note.orientation if task.note.pictures else None,
            linked=task.note.linked,
            invalid=dict(sorted(tally.invalid.items())),
            zero_run=tally.zero_run if tally.zero_run >= _LONG_RUN else 0,
        )


def described(path: Path, name: str) -> FileEntry:
    """Return the entry of a file under the name that the manifest gives it."""
    return FileEntry(name, path.stat().st_size, checksums.of_file(path))
