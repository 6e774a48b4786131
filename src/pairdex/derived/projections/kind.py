"""The projections of a collection, as a kind of derived data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.derived.projections.files import MANIFEST, folder_of, projection_names, read_record
from pairdex.derived.projections.write import project_collection
from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.checks import Check, RecordedFile, checksum_check, reading_check
from pairdex.progress import Progress
from pairdex.store.store import Store

__all__ = ["PROJECTIONS"]


def _describe(store: Store, name: str) -> DerivedInfo:
    record = read_record(folder_of(store.path, name))
    return DerivedInfo(
        PROJECTIONS.name,
        name,
        title=name,
        rows=record.rows,
        bytes=sum(file.bytes for file in record.files),
        current=record.is_current(store),
        details={"kind": record.kind, "method": record.method, "dim": record.dim},
    )


def _checks(collection: Path, name: str) -> Iterator[Check]:
    folder = folder_of(collection, name)
    remedy = f"delete {folder} and run pairdex project {collection} {name} again"
    reads = partial(read_record, folder)
    yield reading_check(collection, folder / MANIFEST, reads, remedy=remedy)
    try:
        record = reads()
    except (DamagedFile, UnsupportedFormat):
        return  # the record lists the other files
    inside = str(folder.relative_to(collection))
    files: list[RecordedFile] = [record.model, *record.files]
    for file in files:
        yield checksum_check(collection, file, folder=inside, remedy=remedy)


def _make(collection: Path, name: str, progress: Progress | None) -> None:
    project_collection(collection, name, progress=progress)


PROJECTIONS = DerivedKind(
    name="projection",
    heading="projections",
    files=(f"projections/*/{MANIFEST}",),
    find=projection_names,
    describe=_describe,
    checks=_checks,
    make=_make,
)
