"""SISAP's metadata TSV: caption, NSFW, LICENSE and url, line i for row i.

Quoted as Julia's CSV.jl does it: a field with a tab, a quote or a line break stands in quotes, quotes in
it doubled; a missing value is an empty field, an empty text `""`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pairdex.errors import Mismatch
from pairdex.exports.folders import ExportReport, Written, export_folder
from pairdex.exports.training.sources import Left, live_ids
from pairdex.files import atomic
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["check_unchanged", "export_tsv", "missing_columns", "tsv_name", "write_tsv"]

# The names in the file, and what a collection calls them.
_COLUMNS = {"caption": "caption", "NSFW": "nsfw", "LICENSE": "license", "url": "url"}
_SPECIAL = '["\t\r\n]|^$'


def export_tsv(store: Store, target: Path, *, progress: StepProgress | None = None) -> ExportReport:
    """Write `target`/meta-ROWS.tsv; columns that the collection has not are empty, and noted.

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy, Mismatch
        The target is there; no room; another writer; rows were removed meanwhile.
    """
    name, checksum = tsv_name(store), store.checksum

    def write(folder: Path, unit: int) -> Written:  # noqa: ARG001 - there is one
        left = Left()
        rows = write_tsv(store, folder / name, left, progress)
        check_unchanged(store, checksum)
        return Written([(name, rows)], left.counts)

    report = export_folder(
        target,
        recipe={"format": "tsv", "collection": checksum},
        rows=[store.rows],
        write=write,
    )
    return replace(report, notes=missing_columns(store))


def tsv_name(store: Store) -> str:
    """Return what the file is called."""
    return f"meta-{store.live_rows}.tsv"


def missing_columns(store: Store) -> list[str]:
    """Say which of the file's columns are empty for want of a column in the collection."""
    missing = [name for name, ours in _COLUMNS.items() if ours not in store.schema.names]
    return [f"the collection has no {', '.join(missing)}: left empty"] if missing else []


def write_tsv(store: Store, path: Path, left: Left, progress: StepProgress | None = None) -> int:
    """Write the file, some thousand rows at a time, and return how many rows it has."""
    rows = 0
    with atomic.replacing(path) as file:
        file.write("\t".join(_COLUMNS).encode() + b"\n")
        for lines in _lines(store, left):
            if len(lines):
                file.write("".join(lines.to_pylist()).encode())
            rows += len(lines)
            if progress:
                progress(rows, store.live_rows)
    return rows


def check_unchanged(store: Store, checksum: str) -> None:
    """Raise Mismatch if rows have been removed since the collection had this checksum."""
    if store.checksum != checksum:
        raise Mismatch(f"rows were removed from {store.path} meanwhile: run the same command again")


def _lines(store: Store, left: Left) -> Iterator[pa.Array]:
    names = [name for name in _COLUMNS.values() if name in store.schema.names]
    for unit in range(len(store.manifest.parts)):
        for ids in live_ids(store, unit, left):
            table = store.read(ids, names)
            empty = pa.repeat("", len(ids))
            fields = [
                _quoted(table[name].combine_chunks()) if name in names else empty
                for name in _COLUMNS.values()
            ]
            lines = pc.binary_join_element_wise(*fields, "\t")
            yield pc.binary_join_element_wise(lines, "\n", "")


def _quoted(column: pa.Array) -> pa.Array:
    """Return a column as text, quoted where it must be; missing values are empty."""
    text = column.cast(pa.string())
    inside = pc.replace_substring(text, '"', '""')
    quoted = pc.binary_join_element_wise('"', inside, '"', "")
    return pc.fill_null(pc.if_else(pc.match_substring_regex(text, _SPECIAL), quoted, text), "")
