"""Export SISAP's metadata TSV: caption, NSFW, LICENSE and url, one line per row.

Quoting follows Julia's CSV.jl: a field with a tab, quote or line break is quoted, and its quotes are
doubled. A missing value is an empty field, an empty text is `""`.
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

# Columns in the file, and their names in a collection.
_COLUMNS = {"caption": "caption", "NSFW": "nsfw", "LICENSE": "license", "url": "url"}
_SPECIAL = '["\t\r\n]|^$'


def export_tsv(store: Store, target: Path, *, progress: StepProgress | None = None) -> ExportReport:
    """Write `target`/meta-ROWS.tsv; columns missing in the collection are empty, and a note lists them.

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy, Mismatch
        `target` exists, a file cannot be written, another process writes to `target`, or rows were removed
        during the export.
    """
    name, checksum = tsv_name(store), store.checksum

    def write(folder: Path, unit: int) -> Written:  # noqa: ARG001 - there is only one unit
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
    """Return the name of the file."""
    return f"meta-{store.live_rows}.tsv"


def missing_columns(store: Store) -> list[str]:
    """Return a note on the columns that are empty because the collection does not have them."""
    missing = [name for name, ours in _COLUMNS.items() if ours not in store.schema.names]
    return (
        [f"the collection has no {', '.join(missing)}: these columns are empty"] if missing else []
    )


def write_tsv(store: Store, path: Path, left: Left, progress: StepProgress | None = None) -> int:
    """Write the file in blocks of rows, and return the number of rows."""
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
    """Raise Mismatch if the collection no longer has this checksum because rows were removed."""
    if store.checksum != checksum:
        raise Mismatch(
            f"rows were removed from {store.path} during the export; run the same command again"
        )


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
    """Return a column as text, quoted where necessary; missing values are empty."""
    text = column.cast(pa.string())
    inside = pc.replace_substring(text, '"', '""')
    quoted = pc.binary_join_element_wise('"', inside, '"', "")
    return pc.fill_null(pc.if_else(pc.match_substring_regex(text, _SPECIAL), quoted, text), "")
