"""The atlas of a collection, as a kind of derived data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.derived.atlas.files import NOTE, folder_of, has_atlas, read_record, remedy_of
from pairdex.derived.atlas.make import atlas
from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.checks import Check, checksum_check, reading_check
from pairdex.progress import Progress
from pairdex.store.store import Store
from pairdex.wording import counted

__all__ = ["ATLAS"]


def _find(collection: Path) -> list[str]:
    return [ATLAS.name] if has_atlas(collection) else []


def _describe(store: Store, name: str) -> DerivedInfo:
    record = read_record(store.path)
    return DerivedInfo(
        ATLAS.name,
        name,
        title=counted(record.points, "point"),
        rows=record.rows,
        bytes=sum(file.bytes for file in record.files.values()),
        current=record.is_current(store),
        details={
            "on": record.on,
            "points": record.points,
            "seed": record.seed,
            "regions": len(record.regions),
        },
    )


def _checks(collection: Path, _name: str) -> Iterator[Check]:
    remedy, reads = remedy_of(collection), partial(read_record, collection)
    yield reading_check(collection, folder_of(collection) / NOTE, reads, remedy=remedy)
    try:
        record = reads()
    except (DamagedFile, UnsupportedFormat):
        return  # the note lists the other files
    for file in record.files.values():
        yield checksum_check(collection, file, remedy=remedy)


def _make(collection: Path, _name: str, progress: Progress | None) -> None:
    if not has_atlas(collection):
        atlas(collection, progress=progress)
        return
    record = read_record(collection)
    if not record.is_current(Store(collection)):
        atlas(collection, seed=record.seed, on=record.on, progress=progress)


ATLAS = DerivedKind(
    name="atlas",
    heading="atlas",
    files=(f"atlas/{NOTE}",),
    find=_find,
    describe=_describe,
    checks=_checks,
    make=_make,
)
