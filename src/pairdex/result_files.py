"""Writing search results to files: SISAP's HDF5 form, or Parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex import atomic
from pairdex.errors import InvalidArgument

__all__ = ["SUFFIXES", "check_suffix", "write_results", "write_table"]

SUFFIXES = (".h5", ".parquet")
_MAX_H5_ID = np.iinfo(np.int32).max  # ids are stored as int32, from 1


def check_suffix(path: Path) -> None:
    """Raise InvalidArgument unless results can be written to a file of this name."""
    if path.suffix not in SUFFIXES:
        raise InvalidArgument(
            f"cannot write results to {path}: got the suffix {path.suffix!r}, "
            f"expected {' or '.join(SUFFIXES)}",
            field="out",
        )


def write_results(
    path: Path,
    ids: NDArray[np.int64],
    distances: NDArray[np.float32],
    *,
    attributes: Mapping[str, str | int | float],
) -> None:
    """Write neighbours (n, k) to `path`, in the form that its suffix names.

    .h5 is SISAP's result file: `knns` int32, 1-based (0 where there is no neighbour), `dists`
    float32, and the attributes. .parquet has a row for each neighbour: query, rank, id, distance.

    Raises
    ------
    InvalidArgument, WriteFailed
        An unknown suffix; no room, or no permission.
    """
    check_suffix(path)
    if path.suffix == ".h5":
        _write_h5(path, ids, distances, attributes)
    else:
        write_table(path, _long_table(ids, distances))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table to a Parquet file, atomically."""
    with atomic.replacing(path) as file:
        pq.write_table(table, file)


def _write_h5(
    path: Path,
    ids: NDArray[np.int64],
    distances: NDArray[np.float32],
    attributes: Mapping[str, str | int | float],
) -> None:
    if ids.size and ids.max() >= _MAX_H5_ID:
        raise InvalidArgument(
            f"cannot write {path}: id {ids.max():,} does not fit SISAP's int32; write .parquet",
            field="out",
        )
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["knns"] = (ids + 1).astype(np.int32)
        file["dists"] = distances.astype(np.float32)
        file.attrs.update(attributes)
    atomic.write_bytes(path, image.getvalue())


def _long_table(ids: NDArray[np.int64], distances: NDArray[np.float32]) -> pa.Table:
    query, rank = np.nonzero(ids >= 0)
    return pa.table(
        {"query": query, "rank": rank, "id": ids[query, rank], "distance": distances[query, rank]}
    )
