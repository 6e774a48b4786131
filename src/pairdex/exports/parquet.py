"""Export to Parquet: one file per part, with id, all metadata columns and the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex.exports.folders import ExportReport, Nodes, Written, export_folder
from pairdex.exports.training.sources import Left, live_ids
from pairdex.files import atomic
from pairdex.progress import StepProgress
from pairdex.store.sharded import reopened
from pairdex.store.store import Store, VectorField
from pairdex.work.reopened import Reopened

__all__ = ["export_parquet"]


def export_parquet(
    store: Store,
    target: Path,
    *,
    vectors: Sequence[VectorField] | None = None,
    nodes: Nodes | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Write `target`/00000.parquet and so on: `id`, the metadata columns, the vectors.

    Parameters
    ----------
    vectors
        The kinds of vectors to write, as fixed-size lists of float16 in `image_embedding` and
        `text_embedding`. None: all kinds that the collection has.
    nodes
        Where parts are written; None: here.

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy
        The collection does not have such vectors, `target` exists, a file cannot be written, or another
        process writes to `target`.
    """
    kinds = list(store.manifest.vectors if vectors is None else vectors)
    for kind in kinds:
        store.check_kind(kind)
    return export_folder(
        target,
        recipe={"format": "parquet", "collection": store.checksum, "vectors": kinds},
        rows=[part.rows for part in store.manifest.parts],
        write=partial(_write_part, reopened(store), kinds),
        nodes=nodes,
        progress=progress,
    )


def _write_part(
    source: Reopened[Store], kinds: Sequence[VectorField], folder: Path, unit: int
) -> Written:
    store = source.get()
    left, name, rows, schema = Left(), f"{unit:05d}.parquet", 0, _schema(store, kinds)
    with atomic.replacing(folder / name) as file, _writer(file, store, schema) as out:
        for ids in live_ids(store, unit, left):
            out.write_table(_table(store, ids, kinds, schema))
            rows += len(ids)
    return Written([(name, rows)], left.counts)


def _schema(store: Store, kinds: Sequence[VectorField]) -> pa.Schema:
    embedding = pa.list_(pa.float16(), store.dim)
    embeddings = [pa.field(f"{kind}_embedding", embedding) for kind in kinds]
    return pa.schema([pa.field("id", pa.int64()), *store.schema, *embeddings])


def _writer(file: BinaryIO, store: Store, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet file that stores vectors plainly: codecs and dictionaries do not shrink them."""
    names = store.schema.names
    return pq.ParquetWriter(
        file,
        schema,
        use_dictionary=names,
        write_statistics=["id", *names],
        compression={name: "zstd" if name in names else "none" for name in _leaves(schema)},
    )


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the Parquet column names; the elements of a list have a path."""
    return [
        f"{field.name}.list.element" if pa.types.is_fixed_size_list(field.type) else field.name
        for field in schema
    ]


def _table(
    store: Store, ids: NDArray[np.int64], kinds: Sequence[VectorField], schema: pa.Schema
) -> pa.Table:
    columns = [pa.array(ids), *store.take(ids).columns]
    for kind in kinds:
        flat = pa.array(store.vectors(kind)[ids].reshape(-1))
        columns.append(pa.FixedSizeListArray.from_arrays(flat, store.dim))
    return pa.table(columns, schema=schema)
