"""Computed columns (scores), as a kind of derived data. The store joins them to the metadata."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.checks import Check, checksum_check, reading_check
from pairdex.store.scores import NOTE, SCORES, ScoreNote, open_score, score_folder, score_names
from pairdex.store.store import Store

__all__ = ["SCORE_COLUMNS"]


def _describe(store: Store, name: str) -> DerivedInfo:
    note = open_score(store.path, name)
    rows = note.scored_rows(store.manifest)
    return DerivedInfo(
        SCORE_COLUMNS.name,
        name,
        title=name,
        rows=rows,
        bytes=sum(part.bytes for part in note.parts),
        current=rows == store.rows,
        details={"head": note.head},
    )


def _checks(collection: Path, name: str) -> Iterator[Check]:
    folder = score_folder(collection, name)
    remedy = f"delete {folder.relative_to(collection)} and run pairdex score again"
    reads = partial(open_score, collection, name)
    yield reading_check(collection, folder / NOTE, reads, remedy=remedy)
    try:
        note: ScoreNote = reads()
    except (DamagedFile, UnsupportedFormat):
        return  # the note lists the other files
    for part in note.parts:
        yield checksum_check(collection, part, remedy=remedy)


SCORE_COLUMNS = DerivedKind(
    name="score",
    heading="scores",
    files=(f"{SCORES}/*/{NOTE}",),
    find=score_names,
    describe=_describe,
    checks=_checks,
    make=None,
)
