"""Query vectors in a projection's space, in SISAP's HDF5 form: one dataset, pca32, pca96 or hamming."""

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
    """Read query vectors that can be projected as the collection's are, and written to any `out`.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, InvalidArgument, Mismatch
        No such file or not of vectors; of another dimension, without direction; another suffix
        than .h5.
    """
    if out is not None and Path(out).suffix not in (".h5", ".hdf5"):
        raise InvalidArgument(
            f"cannot write projected queries to {out}: expected a name that ends in .h5",
            field="out",
        )
    vectors = check_queries(query_set(queries).vectors)
    if vectors.shape[1] != store.dim:
        raise Mismatch(
            f"{shown_source(queries)} has vectors of {vectors.shape[1]} dimensions, {store.path} has {store.dim}"
        )
    return vectors


def write_projected(projection: Projection, queries: NDArray[Any], out: Path) -> NDArray[Any]:
    """Project queries with the collection's model, write and return them (n, width).

    Raises
    ------
    WriteFailed
        No room, or no permission.
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
