"""Export to ClickHouse: Parquet files with the columns of its LAION tutorial, and SQL to load them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

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

__all__ = ["SCRIPT", "TUTORIAL_COLUMNS", "export_clickhouse", "tutorial_columns", "vector_column"]

SCRIPT = "laion.sql"
TUTORIAL_COLUMNS = {
    "id": "Int64",
    "url": "String",
    "caption": "String",
    "NSFW": "String",
    "similarity": "Float32",
}
"""The metadata columns of the tutorial's table, with ClickHouse types."""

_PLACES = ("url", "image_path")  # the sources of the column `url`; the first existing one is used


def export_clickhouse(
    store: Store,
    target: Path,
    *,
    nodes: Nodes | None = None,
    progress: StepProgress | None = None,
) -> ExportReport:
    """Write `target`/00000.parquet and so on, and `laion.sql`, which creates the table and loads them.

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy
        `target` exists, a file cannot be written, or another process writes to `target`.
    Mismatch
        The collection's metric is not the cosine.
    """
    store.check_cosine("ClickHouse's index")
    return export_folder(
        target,
        recipe={"format": "clickhouse", "collection": store.checksum},
        rows=[part.rows for part in store.manifest.parts],
        write=partial(_write_part, reopened(store)),
        describe=lambda folder, _: atomic.write_bytes(folder / SCRIPT, _script(store).encode()),
        nodes=nodes,
        progress=progress,
    )


def _write_part(source: Reopened[Store], folder: Path, unit: int) -> Written:
    store = source.get()
    left, name, rows = Left(), f"{unit:05d}.parquet", 0
    with (
        atomic.replacing(folder / name) as file,
        pq.ParquetWriter(file, _schema(store), compression="zstd") as out,
    ):
        for ids in live_ids(store, unit, left):
            out.write_table(_table(store, ids))
            rows += len(ids)
    return Written([(name, rows)], left.counts)


def tutorial_columns(
    ids: NDArray[np.int64], metadata: pa.Table
) -> dict[str, pa.Array | pa.ChunkedArray]:
    """Return the tutorial's metadata columns for the given rows.

    A missing URL is replaced by the path of the picture, a missing text by `''`, a missing similarity by
    NaN.
    """
    return {
        "id": pa.array(ids),
        "url": _text(metadata, *_PLACES),
        "caption": _text(metadata, "caption"),
        "NSFW": _text(metadata, "nsfw"),
        "similarity": _number(metadata, "similarity"),
    }


def vector_column(on: VectorField) -> str:
    """Return the name of the column of image or text vectors."""
    return f"{on}_embedding"


def _schema(store: Store) -> pa.Schema:
    kinds = {"Int64": pa.int64(), "String": pa.string(), "Float32": pa.float32()}
    embedding = pa.list_(pa.float16(), store.dim)
    return pa.schema(
        [
            *(pa.field(name, kinds[kind]) for name, kind in TUTORIAL_COLUMNS.items()),
            *(pa.field(vector_column(on), embedding) for on in store.manifest.vectors),
        ]
    )


def _table(store: Store, ids: NDArray[np.int64]) -> pa.Table:
    columns = list(tutorial_columns(ids, store.take(ids)).values())
    for on in store.manifest.vectors:
        flat = pa.array(store.vectors(on)[ids].reshape(-1))
        columns.append(pa.FixedSizeListArray.from_arrays(flat, store.dim))
    return pa.table(columns, schema=_schema(store))


def _script(store: Store) -> str:
    columns = [
        *(f"    `{name}` {kind}" for name, kind in TUTORIAL_COLUMNS.items()),
        *(f"    `{vector_column(on)}` Array(Float32) CODEC(NONE)" for on in store.manifest.vectors),
    ]
    lines = ",\n".join(columns)
    return (
        "-- In this folder: clickhouse-client --queries-file laion.sql\n"
        f"CREATE TABLE laion\n(\n{lines}\n)\nENGINE = MergeTree\nORDER BY id;\n\n"
        "INSERT INTO laion FROM INFILE '*.parquet' FORMAT Parquet;\n"
    )


def _text(metadata: pa.Table, *names: str) -> pa.ChunkedArray:
    """Return the first existing column of `names` as text; '' for NULL, or if none exists."""
    for name in names:
        if name in metadata.column_names:
            return metadata[name].cast(pa.string()).fill_null("")
    return pa.chunked_array([pa.array([""] * len(metadata))])


def _number(metadata: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as float32; NaN for NULL, or if the column does not exist."""
    if name not in metadata.column_names:
        return pa.chunked_array([pa.array(np.full(len(metadata), np.nan, np.float32))])
    return metadata[name].cast(pa.float32()).fill_null(float("nan"))
