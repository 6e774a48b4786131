"""Giving the columns of earlier parts a wider type, when a part that needs it is added."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pairdex.parts.columns import ORIGIN, Column, conformed
from pairdex.store.manifest import Manifest, PartEntry
from pairdex.store.metadata import MetadataFile, writing_metadata
from pairdex.store.write_part import described

__all__ = ["retyped"]

_VERSION = re.compile(r"(\d+)(?:-(\d+))?\.arrow")


def retyped(collection: Path, manifest: Manifest, columns: Sequence[Column]) -> Manifest:
    """Write the metadata of all parts whose columns have other types; return the manifest of it.

    The new files have new names, so that readers of the old manifest keep theirs.

    Raises
    ------
    DamagedFile, WriteFailed
        A file cannot be read, or there is no room.
    """
    target = pa.schema([*((column.name, column.type) for column in columns), *ORIGIN])
    types = {field.name: str(field.type) for field in target}
    parts = [_part(collection, part, columns, target) for part in manifest.parts]
    entries = [replace(entry, type=types[entry.name]) for entry in manifest.columns]
    return replace(manifest, parts=parts, columns=entries)


def _part(
    collection: Path, part: PartEntry, columns: Sequence[Column], target: pa.Schema
) -> PartEntry:
    old = part.files["metadata"].path
    file = MetadataFile(collection / old, part.rows, mapped=False)
    if file.schema.equals(target):
        return part
    new = _next_name(old)
    with writing_metadata(collection / new, target) as writer:
        for table in file.tables():
            released = conformed(table, columns, collection / old)
            origin = [table[name] for name, _ in ORIGIN]
            writer.append(pa.table([*released.columns, *origin], schema=target))
    return replace(part, files={**part.files, "metadata": described(collection / new, new)})


def _next_name(path: str) -> str:
    """Return the name of the next version: 00000.arrow, 00000-1.arrow, 00000-2.arrow."""
    folder, _, name = path.rpartition("/")
    match = _VERSION.fullmatch(name)
    assert match is not None, path
    return f"{folder}/{match[1]}-{int(match[2] or 0) + 1}.arrow"
