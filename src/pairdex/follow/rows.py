"""Read the picture paths of a collection's rows, and change them.

Metadata files are immutable: moved pictures get a new metadata file, which the manifest then names.
The old file stays until the next run, for readers that still use the old manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.files import checksums
from pairdex.follow.waiting import when_free
from pairdex.store.carried import carry_removed
from pairdex.store.folder import claimed, tidy
from pairdex.store.manifest import Manifest, PartEntry, write_manifest
from pairdex.store.metadata import MetadataFile, writing_metadata
from pairdex.store.photo_state import Known
from pairdex.store.removed import read_reasons
from pairdex.store.store import Store
from pairdex.store.write_part import described

__all__ = [
    "CONTENT",
    "EDITED",
    "GONE",
    "Row",
    "having",
    "keep_removed",
    "live_rows",
    "move_rows",
    "set_places",
]

CONTENT = "content"  # the column of the pictures' checksums

# Reasons for removing rows.
GONE, EDITED = "the picture is not in its folder any more", "the picture was edited"

_VERSION = re.compile(r"metadata/(\d+)(?:-(\d+))?\.arrow")


@dataclass(frozen=True)
class Row:
    """A row: its id, and its picture as recorded in the collection."""

    id: int
    name: str
    known: Known


@contextmanager
def having(collection: Path) -> Iterator[Manifest]:
    """Hold the write lock of a collection; wait for other processes at first.

    Raises
    ------
    CollectionBusy
        Another process holds it for more than a minute.
    """
    with ExitStack() as stack:
        manifest = when_free(lambda: stack.enter_context(claimed(collection)))
        assert manifest is not None, "it was opened before"
        yield manifest


def live_rows(collection: Path, first: int = 0) -> Iterator[Row]:
    """Yield rows from the id `first` on, without rows removed because their pictures changed.

    Rows that a user removed are included: their pictures stay known and are not added again.
    """
    store = Store(collection, mapped=False)
    live = _live(store)
    for start, table in store.tables():
        if start + len(table) <= first:
            continue
        columns = (table[name].to_pylist() for name in ("image_path", "caption", CONTENT))
        for row_id, (name, caption, content) in enumerate(zip(*columns, strict=True), start):
            if row_id >= first and (live is None or live[row_id]):
                said = checksums.of_bytes((caption or "").encode())
                yield Row(row_id, name, Known(0, 0, 0, "", said, "", content, row_id))


def keep_removed(collection: Path, first: int, *, now: datetime) -> int:
    """Remove the rows from the id `first` on whose pictures users removed before; return how many."""
    store = Store(collection)
    old, new = np.split(np.arange(store.rows, dtype=np.int64), [first])
    return carry_removed(store, old=old, new=new, column=CONTENT, ours=(GONE, EDITED), now=now)


def _live(store: Store) -> NDArray[np.bool_] | None:
    if store.tombstones is None:  # it checks that the file is complete
        return None
    ids, reasons = read_reasons(store.path, store.manifest)
    ours = pc.is_in(reasons, value_set=pa.array([GONE, EDITED])).to_numpy(zero_copy_only=False)
    live = np.ones(store.rows, np.bool_)
    live[ids[ours & (ids < store.rows)]] = False
    return live


def move_rows(collection: Path, names: Mapping[int, str]) -> None:
    """Set the new picture names of rows.

    Raises
    ------
    CollectionBusy, WriteFailed
        Another process holds the collection; the disk is full.
    """
    if not names:
        return
    with having(collection) as manifest:
        ends = np.cumsum([part.rows for part in manifest.parts])
        by_part: dict[int, dict[int, str]] = {}
        for row_id, name in names.items():
            index = int(np.searchsorted(ends, row_id, side="right"))
            first = int(ends[index]) - manifest.parts[index].rows
            by_part.setdefault(index, {})[row_id - first] = name
        parts = list(manifest.parts)
        for index, moved in by_part.items():
            parts[index] = _renamed(collection, parts[index], moved)
        write_manifest(collection, replace(manifest, parts=parts))


def set_places(collection: Path, root: str, linked: tuple[str, ...]) -> None:
    """Record the pictures' folder, and remove leftovers of earlier runs."""
    with having(collection) as manifest:
        parts = [replace(part, pictures=root, linked=linked) for part in manifest.parts]
        if parts != manifest.parts:
            write_manifest(collection, replace(manifest, parts=parts))
        tidy(collection, manifest)


def _renamed(collection: Path, part: PartEntry, names: Mapping[int, str]) -> PartEntry:
    """Write a part's metadata with new names for some rows, keyed by row in the part."""
    old = part.files["metadata"]
    match = _VERSION.fullmatch(old.path)
    assert match is not None, "the manifest names our own files"
    path = f"metadata/{match[1]}-{int(match[2] or 0) + 1}.arrow"
    file = MetadataFile(collection / old.path, part.rows, mapped=False)
    first = 0
    with writing_metadata(collection / path, file.schema) as writer:
        for table in file.tables():
            here = {
                row - first: name
                for row, name in names.items()
                if first <= row < first + len(table)
            }
            writer.append(_with_names(table, here) if here else table)
            first += len(table)
    files = part.files | {"metadata": described(collection / path, path)}
    return replace(part, files=files)


def _with_names(table: pa.Table, names: Mapping[int, str]) -> pa.Table:
    paths = table["image_path"].to_pylist()
    folders = table["folder"].to_pylist()
    for row, name in names.items():
        paths[row], folders[row] = name, name.rpartition("/")[0]
    for column, values in (("image_path", paths), ("folder", folders)):
        place = table.schema.get_field_index(column)
        table = table.set_column(place, table.schema.field(place), pa.array(values, pa.string()))
    return table
