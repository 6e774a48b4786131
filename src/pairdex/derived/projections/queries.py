"""Projected query vectors, as SISAP's HDF5 files: one dataset named pca32, pca96 or hamming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import StrPath
from pairdex.derived.projections.files import Projection
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import atomic
from pairdex.files.hdf5_tables import TableWriter
from pairdex.files.query_files import query_set, shown_source
from pairdex.knn.cosine import check_queries
from pairdex.store.store import Store
from pairdex.version import __version__

__all__ = ["read_for", "write_projected"]


def read_for(
    store: Store, queries: StrPath | ArrayLike, out: StrPath | None
) -> NDArray[np.float32]:
    """Read query vectors of the collection's dimension, shape (n, dim), and check the name `out`.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        The file does not exist, is damaged, or is not a file of vectors.
    Mismatch
        The vectors have another dimension.
    InvalidArgument
        A vector is zero or not finite, or `out` does not end in .h5.
    """
    if out is not None and Path(out).suffix not in (".h5", ".hdf5"):
        raise InvalidArgument(
            f"cannot write projected queries to {out}, expected a name that ends in .h5",
            field="out",
        )
    vectors = check_queries(query_set(queries).vectors)
    if vectors.shape[1] != store.dim:
        raise Mismatch(
            f"{shown_source(queries)} has vectors of {vectors.shape[1]} dimensions, {store.path} has {store.dim}; "
            "name queries of the same model"
        )
    return vectors


def write_projected(projection: Projection, queries: NDArray[Any], out: Path) -> NDArray[Any]:
    """Project queries with the projection's model, write them to `out`, and return them, shape (n, width).

    Raises
    ------
    WriteFailed
        The file cannot be written.
    """
    projected = projection.apply(queries)
    attributes = {
        "model_checksum": projection.record.model.checksum,
        "created_by": f"pairdex {__version__}",
    }
    with atomic.replacing(out) as file:
        tables = {projection.name: (projected.shape, projected.dtype)}
        TableWriter(file, tables, attributes=attributes).write(projection.name, 0, projected)
    return projected
