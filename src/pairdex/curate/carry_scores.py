"""Copy computed columns into a derived collection, so that heads need not run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.curate.score import described_values, values_name, values_schema
from pairdex.files import atomic
from pairdex.store.manifest import PartEntry
from pairdex.store.metadata import BATCH_ROWS, writing_metadata
from pairdex.store.scores import (
    ScoredPart,
    ScoreNote,
    open_values,
    read_scores,
    score_folder,
    write_score,
)

__all__ = ["Kept", "carry_scores"]


@dataclass(frozen=True, eq=False)
class Kept:
    """A part before and after deriving: `flags` (rows before,) mark the kept rows."""

    before: PartEntry
    after: PartEntry
    flags: NDArray[np.bool_]


def carry_scores(collection: Path, new: Path, parts: Sequence[Kept]) -> None:
    """Write the computed columns of the kept rows into the new collection.

    Parts without scores stay without scores in the new collection.

    Raises
    ------
    DamagedFile, MissingFile, WriteFailed
        Values cannot be read or written.
    """
    for note in read_scores(collection):
        atomic.make_folder(score_folder(new, note.name))
        carried = [_carry(collection, new, note, index, part) for index, part in enumerate(parts)]
        write_score(new, replace(note, parts=[one for one in carried if one is not None]))


def _carry(
    collection: Path, new: Path, note: ScoreNote, index: int, part: Kept
) -> ScoredPart | None:
    values = open_values(collection, note.of(part.before))
    if values is None:
        return None
    source = part.after.files[note.on].checksum
    schema = values_schema(note.name, note.head["checksum"], source)
    path = score_folder(new, note.name) / values_name(index, note.head["checksum"])
    with writing_metadata(path, schema) as writer:
        for batch, table in enumerate(values.tables()):
            flags = part.flags[batch * BATCH_ROWS : batch * BATCH_ROWS + len(table)]
            writer.append(table.filter(pa.array(flags)).replace_schema_metadata(schema.metadata))
    return described_values(new, path, part.after.rows, source)
