"""Score every picture with a head and store the scores as a metadata column, part by part.

The file names of a column identify its head. A column of another head therefore replaces
the older one atomically, when its note is written.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.arguments import StrPath, checked
from pairdex.encoders.heads import Head, HeadKind, load_head
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.files import atomic, checksums, lock
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

__all__ = ["ScoreReport", "described_values", "score", "values_name", "values_schema"]

_ON: VectorField = "image"
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
    progress
        Called with the number of values done and the total.

    Raises
    ------
    PairdexError
        No head is given, a head is for another dimension, the parts already have a column of that
        name, another process is writing, or the disk is full.
    """
    started = time.perf_counter()
    given: list[tuple[HeadKind, StrPath | None]] = [("nsfw", nsfw), ("aesthetic", aesthetic)]
    heads = [load_head(Path(path), kind) for kind, path in given if path is not None]
    if not heads:
        raise InvalidArgument("no head is given; name at least one of nsfw and aesthetic")
    folder = Path(collection)
    store = Store(folder)
    for head in heads:
        _check_fits(store, head)
    meter = Meter(len(heads) * store.rows, at_step(progress, "scoring"))
    with lock.writing(folder):
        store = Store(folder)  # reopened under the lock
        scored = sum(_score(store, head, meter) for head in heads)
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


def _score(store: Store, head: Head, meter: Meter) -> int:
    """Complete the column of one head; return the number of values computed."""
    folder = score_folder(store.path, head.column)
    atomic.make_folder(folder)
    atomic.discard_partials(folder)
    earlier = read_score(store.path, head.column)
    known = {part.path: part for part in earlier.parts} if earlier else {}
    parts, computed = [], 0
    for index, (entry, block) in enumerate(
        zip(store.manifest.parts, store.vectors(_ON).blocks, strict=True)
    ):
        path = folder / values_name(index, head.checksum)
        source = entry.files[_ON].checksum
        done = _is_done(path, head, source, entry.rows)
        if done:
            meter.advance(entry.rows)
        else:
            _write(path, block, head, source, meter)
            computed += entry.rows
        # Keep the note's checksums: recomputing them would accept the bytes of a damaged file.
        said = known.get(str(path.relative_to(store.path))) if done else None
        parts.append(said or described_values(store.path, path, entry.rows, source))
    made_from = {"kind": head.kind, "dim": head.dim, "checksum": head.checksum}
    note = ScoreNote(head.column, f"pairdex {__version__}", _ON, made_from, list(parts))
    if earlier != note:
        write_score(store.path, note)
    named = {store.path / part.path for part in parts}
    for other in folder.glob("*.arrow"):
        if other not in named:
            other.unlink()
    return computed


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


def _is_done(path: Path, head: Head, source: str, rows: int) -> bool:
    """Return whether the file is from this head and these vectors. Existing files are complete."""
    try:
        schema = MetadataFile(path, rows).schema
    except DamagedFile:  # or missing
        return False
    return bool(
        schema.equals(values_schema(head.column, head.checksum, source), check_metadata=True)
    )


def _write(path: Path, block: NDArray[np.float16], head: Head, source: str, meter: Meter) -> None:
    schema = values_schema(head.column, head.checksum, source)
    with writing_metadata(path, schema) as writer:
        for start in range(0, len(block), BATCH_ROWS):
            values = head.scores(block[start : start + BATCH_ROWS])
            writer.append(pa.table([pa.array(values, TYPE)], schema=schema))
            meter.advance(len(values))
