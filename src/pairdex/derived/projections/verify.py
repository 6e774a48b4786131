"""What `pairdex verify` has to read of a collection's projections."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.derived.projections.files import MANIFEST, read_record
from pairdex.derived.verify import Check, complaint, difference
from pairdex.store.manifest import FileEntry

__all__ = ["projection_checks"]


def projection_checks(collection: Path) -> Iterator[Check]:
    """Yield a check of every file of every finished projection in the collection's folder."""
    for path in sorted(collection.glob(f"projections/*/{MANIFEST}")):
        folder = path.parent
        inside = str(folder.relative_to(collection))
        remedy = f"delete {folder} and run pairdex project {collection} {folder.name} again"
        reads = partial(complaint, partial(read_record, folder))
        yield Check(f"{inside}/{MANIFEST}", path.stat().st_size, reads, remedy)
        if reads() is not None:
            continue  # it cannot say which other files there are
        record = read_record(folder)
        files = [FileEntry(file.path, file.bytes, file.checksum) for file in record.files]
        for file in (record.model, *files):
            yield Check(
                f"{inside}/{file.path}", file.bytes, partial(difference, folder, file), remedy
            )
