"""Writing search results to files, as SISAP's HDF5 or as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairdex.errors import InvalidArgument
from pairdex.files import atomic
from pairdex.files.hdf5_tables import TableWriter, Value
from pairdex.files.neighbour_files import FIRST_ID

__all__ = [
    "SUFFIXES",
    "NeighbourWriter",
    "check_suffix",
    "long_table",
    "write_results",
    "write_table",
    "writing_neighbours",
]

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
    attributes: Mapping[str, Value],
    about: Mapping[str, Value] | None = None,
    answered_by: NDArray[np.bytes_] | None = None,
) -> None:
    """Write neighbours (n, k) to `path`, in the format of its suffix.

    .h5 is SISAP's result file: `knns` int32, 1-based (0 for no neighbour), `dists`
    float32, and the attributes. .parquet has a row for each neighbour: query, rank, id, distance.

    Parameters
    ----------
    attributes
        Attributes of the HDF5 file. SISAP's evaluation accepts `data`, `size`, `algo`, `buildtime`, `querytime` and
        `params`, and fails on others.
    about
        Attributes of `knns`: further facts about the results. In a .parquet file both are in the
        schema's metadata, as JSON under `pairdex`.
    answered_by
        What answered each query, (n,), for a dataset `answered_by` of an HDF5 file.

    Raises
    ------
    InvalidArgument, WriteFailed
        An unknown suffix; disk full, or no permission.
    """
    check_suffix(path)
    if path.suffix == ".h5":
        texts = {} if answered_by is None else {"answered_by": answered_by}
        with writing_neighbours(
            path, ids.shape, attributes=attributes, about=about, texts=texts
        ) as writer:
            writer.write(0, ids, distances)
    else:
        facts = json.dumps({**attributes, **(about or {})})
        write_table(path, long_table(ids, distances).replace_schema_metadata({"pairdex": facts}))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table to a Parquet file, atomically."""
    with atomic.replacing(path) as file:
        pq.write_table(table, file)


class NeighbourWriter:
    """Writes the neighbours of successive queries to an HDF5 file in SISAP's format."""

    def __init__(self, path: Path, tables: TableWriter) -> None:
        self._path = path
        self._tables = tables

    def write(self, first: int, ids: NDArray[np.int64], distances: NDArray[np.floating]) -> None:
        """Write the neighbours of the queries from `first` on: ids from 0, -1 for none."""
        if ids.size and ids.max() >= _MAX_H5_ID:
            raise InvalidArgument(
                f"cannot write {self._path}: id {ids.max():,} does not fit SISAP's int32; "
                "write .parquet",
                field="out",
            )
        self._tables.write("knns", first, ids + 1)
        self._tables.write("dists", first, distances)

    def set_attributes(self, attributes: Mapping[str, Value]) -> None:
        """Change attributes of the file to values that are known only now."""
        self._tables.set_attributes(attributes)


@contextmanager
def writing_neighbours(
    path: Path,
    shape: tuple[int, ...],
    *,
    attributes: Mapping[str, Value],
    about: Mapping[str, Value] | None = None,
    texts: Mapping[str, NDArray[np.bytes_]] | None = None,
) -> Iterator[NeighbourWriter]:
    """Yield a writer of (n, k) neighbours whose file becomes `path` when the block ends.

    Parameters
    ----------
    attributes, about
        As `write_results`.
    texts
        Further datasets by name, with a text for each query (n,): `kind`.
    """
    tables: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
        "knns": (shape, np.dtype(np.int32)),
        "dists": (shape, np.dtype(np.float32)),
    }
    for name, values in (texts or {}).items():
        tables[name] = (values.shape, values.dtype)
    about = {FIRST_ID: 1, **(about or {})}
    with atomic.replacing(path) as file:
        writer = TableWriter(file, tables, attributes=attributes, table_attributes={"knns": about})
        for name, values in (texts or {}).items():
            writer.write(name, 0, values)
        yield NeighbourWriter(path, writer)


def long_table(ids: NDArray[np.int64], distances: NDArray[np.floating]) -> pa.Table:
    """Return neighbours (n, k) as a table with a row for each: query, rank, id, distance."""
    query, rank = np.nonzero(ids >= 0)
    return pa.table(
        {"query": query, "rank": rank, "id": ids[query, rank], "distance": distances[query, rank]}
    )
