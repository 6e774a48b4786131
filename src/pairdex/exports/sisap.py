"""Export a SISAP bundle: vectors as `emb` in HDF5, one file per projection, and the metadata TSV.

Row i is the same row in every file. Removed rows are left out; in that case the dataset `ids` has the ids
of the exported rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.projections.files import find_projections, open_projection
from pairdex.exports.folders import ExportReport, Written, export_folder
from pairdex.exports.training.sources import Left, live_ids
from pairdex.exports.tsv import check_unchanged, missing_columns, tsv_name, write_tsv
from pairdex.files import atomic
from pairdex.files.hdf5_tables import TableWriter, Value
from pairdex.files.query_files import QUERIES_NAME
from pairdex.progress import StepProgress
from pairdex.store.store import Store
from pairdex.store.vectors_view import VectorsView
from pairdex.version import __version__

__all__ = ["export_sisap"]


def export_sisap(
    store: Store, target: Path, *, progress: StepProgress | None = None
) -> ExportReport:
    """Export a SISAP bundle to the folder `target`.

    For a collection NAME of N rows with 768 dimensions, `target` contains:

    - NAME-clip768-n=N.h5 with `emb`, float16, shape (N, 768)
    - one file per projection: NAME-pca96-n=N.h5 with `pca96`, float32; NAME-hamming-n=N.h5 with `hamming`,
      uint64
    - meta-N.tsv with the metadata

    Raises
    ------
    InvalidArgument, WriteFailed, CollectionBusy
        `target` exists, a file cannot be written, or another process writes to `target`.
    Mismatch
        A projection is outdated, or rows were removed during the export.
    """
    checksum, files = store.checksum, _files(store)
    total = store.live_rows * (len(files) + 1)

    def write(folder: Path, unit: int) -> Written:
        def step(done: int, rows: int) -> None:
            if progress:
                progress(unit * rows + done, total)

        left = Left()
        if unit == len(files):
            name, rows = tsv_name(store), write_tsv(store, folder / tsv_name(store), Left(), step)
        else:
            table, space = files[unit]
            name = f"{store.name}-{space}-n={store.live_rows}.h5"
            rows = _write_rows(store, folder / name, table, left if unit == 0 else Left(), step)
        check_unchanged(store, checksum)
        return Written([(name, rows if unit == 0 else 0)], left.counts)

    report = export_folder(
        target,
        recipe={"format": "sisap", "collection": checksum, "files": files, **_models(store)},
        rows=[store.live_rows] * (len(files) + 1),
        write=write,
    )
    return replace(report, notes=[*missing_columns(store), *_renumbered(store)])


def _files(store: Store) -> list[tuple[str, str]]:
    """Return the tables to write, each with the name of its space in file names."""
    projections = [(name, name) for name in find_projections(store)]
    return [(QUERIES_NAME, f"clip{store.dim}"), *projections]


def _models(store: Store) -> dict[str, str]:
    """Return the checksum of each projection's model; raise Mismatch for an outdated projection."""
    return {
        name: open_projection(store, name).record.model.checksum for name in find_projections(store)
    }


def _write_rows(store: Store, path: Path, table: str, left: Left, progress: StepProgress) -> int:
    """Write one table, and `ids` if rows were removed; return the number of rows."""
    view = _view(store, table)
    tables: dict[str, tuple[tuple[int, ...], Any]] = {
        table: ((store.live_rows, view.shape[1]), view.dtype)
    }
    if store.removed is not None:
        tables["ids"] = ((store.live_rows,), np.dtype(np.int64))
    done = 0
    with atomic.replacing(path) as file:
        writer = TableWriter(file, tables, attributes=_attributes(store, table))
        for ids in _all_live_ids(store, left):
            writer.write(table, done, view[ids])
            if "ids" in tables:
                writer.write("ids", done, ids)
            done += len(ids)
            progress(done, store.live_rows)
    return done


def _view(store: Store, table: str) -> VectorsView:
    """Return the rows of a table by id."""
    if table == QUERIES_NAME:
        return store.vectors("image")
    blocks: Sequence[NDArray[Any]] = open_projection(store, table).blocks
    return VectorsView(blocks, blocks[0].shape[1], blocks[0].dtype)


def _all_live_ids(store: Store, left: Left) -> Iterator[NDArray[np.int64]]:
    for unit in range(len(store.manifest.parts)):
        yield from live_ids(store, unit, left)


def _attributes(store: Store, table: str) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "collection": store.name,
        "collection_checksum": store.checksum,
        "created_by": f"pairdex {__version__}",
    }
    if table != QUERIES_NAME:
        attributes["model_checksum"] = open_projection(store, table).record.model.checksum
    return attributes


def _renumbered(store: Store) -> list[str]:
    if store.removed is None:
        return []
    return ["removed rows were left out: the dataset ids in the HDF5 files has the ids of the rows"]
