"""Score every picture with a head and store the scores as a metadata column, part by part.

The file names of a column identify its head. A column of another head therefore replaces
the older one atomically, when its note is written.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pairdex.arguments import StrPath, checked
from pairdex.derived.projections.rows import vector_files
from pairdex.encoders.heads import Head, HeadKind, load_head
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.files import atomic, checksums, lock
from pairdex.files.vectors import VectorFile
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.metadata import BATCH_ROWS, MetadataFile, writing_metadata
from pairdex.store.scores import (
    TYPE,
    ScoredPart,
    ScoreNote,
    read_score,
    score_folder,
    write_score,
)
from pairdex.store.store import Store, VectorField
from pairdex.version import __version__
from pairdex.work.executors import Advance, Executor, do_all, executor_for, seen_alike

__all__ = ["ScoreReport", "described_values", "score", "values_name", "values_schema"]

_ON: VectorField = "image"
_TASK_BYTES = 1 << 30  # of one part: a block of vectors in float64, the libraries
_STRANGE_SPREAD = 2.0  # typical of vectors of another model than the head's; see Head.spread
_KEY = b"pairdex"  # of a file's metadata


@dataclass(frozen=True)
class ScoreReport:
    """The result of scoring.

    Attributes
    ----------
    rows
        Number of rows in the collection. All have a score now.
    columns
        The columns that the heads wrote.
    scored
        Number of values that this call computed. The others existed already.
    warnings
        Warnings that a head may not match this collection's model.
    """

    rows: int
    columns: list[str]
    scored: int
    warnings: list[str]
    seconds: float


@checked
def score(
    collection: StrPath,
    *,
    nsfw: StrPath | None = None,
    aesthetic: StrPath | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> ScoreReport:
    """Score the image vectors with heads and add the columns `punsafe` and `aesthetic`.

    Filters can use the columns as soon as the collection is opened again. Repeat the call to resume
    after an interruption or to score newly added parts. Another head replaces the column.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    nsfw, aesthetic
        The `.npz` file of a head. Give at least one.
    cluster
        The address of a Ray cluster (host:port) whose nodes score the parts, or `auto`. All nodes must see the
        collection's folder.
    progress
        Called with the number of values done and the total.

    Raises
    ------
    PairdexError
        No head is given, a head is for another dimension, the parts already have a column of that
        name, another process is writing, the disk is full, or a node does not see the collection.
    """
    started = time.perf_counter()
    given: list[tuple[HeadKind, StrPath | None]] = [("nsfw", nsfw), ("aesthetic", aesthetic)]
    heads = [load_head(Path(path), kind) for kind, path in given if path is not None]
    if not heads:
        raise InvalidArgument("no head is given; name at least one of nsfw and aesthetic")
    folder = seen_alike(Path(collection), cluster)
    store = Store(folder)
    for head in heads:
        _check_fits(store, head)
    meter = Meter(len(heads) * store.rows, at_step(progress, "scoring"))
    with lock.writing(folder):
        store = Store(folder)  # reopened under the lock
        with executor_for(cluster=cluster, folders=(folder,)) as executor:
            scored = sum(_score(store, head, executor, meter) for head in heads)
    return ScoreReport(
        rows=store.live_rows,
        columns=[head.column for head in heads],
        scored=scored,
        warnings=[line for head in heads if (line := _doubt(store, head)) is not None],
        seconds=time.perf_counter() - started,
    )


def _check_fits(store: Store, head: Head) -> None:
    if head.dim != store.dim:
        raise Mismatch(
            f"the {head.kind} head takes vectors of {head.dim} dimensions, {store.path} has "
            f"{store.dim}: it is a head for another model"
        )
    taken = {name.lower() for name in store.manifest.column_names}
    if head.column in taken:
        raise Mismatch(
            f"{store.path} has the column {head.column} from its parts already: "
            f"leave out the {head.kind} head"
        )


def _doubt(store: Store, head: Head) -> str | None:
    """Return a warning if the vectors do not look like those of the head's model."""
    spread = head.spread(store.vectors(_ON)[:BATCH_ROWS]) if store.rows else None
    if spread is None or spread <= _STRANGE_SPREAD:
        return None
    return (
        f"{head.column}: the vectors lie {spread:.1f} times as far from the {head.kind} head's mean "
        f"as its own model's, expected at most {_STRANGE_SPREAD:g}: they seem to be of another model"
    )


def _score(store: Store, head: Head, executor: Executor, meter: Meter) -> int:
    """Complete the column of one head; return the number of values computed."""
    folder = score_folder(store.path, head.column)
    atomic.make_folder(folder)
    atomic.discard_partials(folder)
    earlier = read_score(store.path, head.column)
    known = {part.path: part for part in earlier.parts} if earlier else {}
    tasks = [
        _PartTask(vectors, source, folder / values_name(index, head.checksum), head)
        for index, (vectors, source) in enumerate(
            zip(vector_files(store, _ON), store.manifest.vector_checksums(_ON), strict=True)
        )
    ]
    done = [task.is_done() for task in tasks]
    left = [task for task, is_done in zip(tasks, done, strict=True) if not is_done]
    sizes = [task.vectors.rows for task in left]
    meter.advance(store.rows - sum(sizes))
    do_all(executor, _write, left, sizes, meter.advance, memory_bytes=_TASK_BYTES)
    # Keep the note's checksums: recomputing them would accept the bytes of a damaged file.
    parts = [
        (known.get(str(task.path.relative_to(store.path))) if is_done else None)
        or described_values(store.path, task.path, task.vectors.rows, task.source)
        for task, is_done in zip(tasks, done, strict=True)
    ]
    made_from = {"kind": head.kind, "dim": head.dim, "checksum": head.checksum}
    note = ScoreNote(head.column, f"pairdex {__version__}", _ON, made_from, parts)
    if earlier != note:
        write_score(store.path, note)
    named = {store.path / part.path for part in parts}
    for other in folder.glob("*.arrow"):
        if other not in named:
            other.unlink()
    return sum(sizes)


def values_name(index: int, head_checksum: str) -> str:
    """Return the name of the file with a part's values."""
    return f"{index:05d}-{head_checksum[:8]}.arrow"


def values_schema(column: str, head_checksum: str, source: str) -> pa.Schema:
    """Return the schema of a part's values; its metadata records the head and the vectors."""
    said = {"head": head_checksum, "source": source, "version": __version__}
    return pa.schema([(column, TYPE)], metadata={_KEY: json.dumps(said).encode()})


def described_values(collection: Path, path: Path, rows: int, source: str) -> ScoredPart:
    """Return the entry of a part's values."""
    place = str(path.relative_to(collection))
    return ScoredPart(place, rows, path.stat().st_size, checksums.of_file(path), source)


@dataclass(frozen=True, eq=False)
class _PartTask:
    """One part to score into the file `path`; it depends on nothing else."""

    vectors: VectorFile
    source: str
    path: Path
    head: Head

    def is_done(self) -> bool:
        """Return whether the file is from this head and these vectors. Existing files are complete."""
        try:
            schema = MetadataFile(self.path, self.vectors.rows).schema
        except DamagedFile:  # or missing
            return False
        return bool(schema.equals(self.schema(), check_metadata=True))

    def schema(self) -> pa.Schema:
        return values_schema(self.head.column, self.head.checksum, self.source)


def _write(task: _PartTask, advance: Advance | None) -> None:
    schema = task.schema()
    with writing_metadata(task.path, schema) as writer:
        for block in task.vectors.blocks(BATCH_ROWS):
            values = task.head.scores(block)
            writer.append(pa.table([pa.array(values, TYPE)], schema=schema))
            if advance:
                advance(len(values))
