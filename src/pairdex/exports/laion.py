"""Export parts in the layout of LAION-400M, from which `pairdex build` makes the same collection."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairdex.exports.folders import ExportReport, Nodes, Written, export_folder
from pairdex.exports.training.sources import Left, live_ids
from pairdex.files import atomic
from pairdex.files.vector_writer import writing_vectors
from pairdex.parts.columns import ORIGIN
from pairdex.progress import StepProgress
from pairdex.store.sharded import reopened
from pairdex.store.store import Store
from pairdex.work.reopened import Reopened

__all__ = ["export_laion"]

_FOLDERS = {"image": "img_emb", "text": "text_emb"}


def export_laion(
    store: Store,
    target: Path,
    *,
    nodes: Nodes | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Write `img_emb/img_emb_N.npy`, `text_emb/text_emb_N.npy` and `metadata/metadata_N.parquet`.

    N is the number of the part. If two parts of the collection have the same number, all parts are
    renumbered from 0. The metadata columns have their names in the release. `part` and `row` are left out,
    because a build makes them.

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy
        `target` exists, a file cannot be written, or another process writes to `target`.
    """
    return export_folder(
        target,
        recipe={"format": "laion", "collection": store.checksum},
        rows=[part.rows for part in store.manifest.parts],
        write=partial(_write_part, reopened(store)),
        nodes=nodes,
        progress=progress,
    )


def _write_part(source: Reopened[Store], folder: Path, unit: int) -> Written:
    store = source.get()
    number, left, names = _numbers(store)[unit], Left(), _source_names(store)
    for kind in store.manifest.vectors:
        name = _FOLDERS[kind]
        atomic.make_folder(folder / name)
        with writing_vectors(folder / name / f"{name}_{number}.npy", store.dim) as out:
            for ids in live_ids(store, unit, Left()):
                out.append(store.vectors(kind)[ids])
    schema = pa.schema(
        [(released, store.schema.field(name).type) for name, released in names.items()]
    )
    metadata, rows = f"metadata/metadata_{number}.parquet", 0
    atomic.make_folder(folder / "metadata")
    with (
        atomic.replacing(folder / metadata) as file,
        pq.ParquetWriter(file, schema) as table,
    ):
        for ids in live_ids(store, unit, left):
            table.write_table(store.take(ids, list(names)).rename_columns(schema.names))
            rows += len(ids)
    return Written([(metadata, rows)], left.counts)


def _source_names(store: Store) -> dict[str, str]:
    """Return the columns to write, with the name of each in the release."""
    released = {column.name: column.source for column in store.manifest.columns}
    names = {name: released.get(name) or name for name in store.schema.names}
    for name, _ in ORIGIN:
        del names[name]
    return names


def _numbers(store: Store) -> list[int]:
    numbers = [part.number for part in store.manifest.parts]
    has_duplicates = any(count > 1 for count in Counter(numbers).values())
    return list(range(len(numbers))) if has_duplicates else numbers
