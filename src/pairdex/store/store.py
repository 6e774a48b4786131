"""Reading a collection's files: vectors as memory maps, metadata rows by id, filters as masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.errors import DamagedFile, InvalidArgument, MissingFile
from pairdex.predicate import Predicate
from pairdex.store.manifest import Kind, Manifest, PartEntry, read_manifest
from pairdex.store.metadata import MetadataFile
from pairdex.store.scores import joined
from pairdex.store.vectors_view import VectorsView
from pairdex.vectors import open_vectors

__all__ = ["Kind", "Store"]


class Store:
    """The files of one version of a collection; parts added later are seen by opening it again.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        No collection; a file is gone or has another size than the manifest says; a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)
        self.rows = self.manifest.rows
        for file in self.manifest.files():
            _check_size(path / file.path, file.bytes)
        self._ends = np.cumsum([part.rows for part in self.manifest.parts], dtype=np.int64)
        released = [
            MetadataFile(path / part.files["metadata"].path, part.rows)
            for part in self.manifest.parts
        ]
        for part, metadata in zip(self.manifest.parts, released, strict=True):
            _check_columns(
                path / part.files["metadata"].path, metadata.schema, released[0].schema, self
            )
        self._metadata = joined(path, self.manifest, released)

    @property
    def dim(self) -> int:
        """The dimension of the vectors."""
        return self.manifest.dim

    @property
    def schema(self) -> pa.Schema:
        """The metadata columns with their types: those of the parts, then the computed ones."""
        return self._metadata[0].schema

    def vectors(self, on: Kind) -> VectorsView:
        """Return the image or the text vectors, mapped and not yet read.

        Raises
        ------
        InvalidArgument
            The collection has no such vectors.
        """
        self.check_kind(on)
        blocks = []
        for part in self.manifest.parts:
            file = open_vectors(self.path / part.files[on].path)
            if (file.rows, file.dim) != (part.rows, self.dim):
                raise DamagedFile(f"{file.path} is damaged: its header does not fit the manifest")
            blocks.append(file.mapped())
        return VectorsView(blocks, self.dim)

    def take(self, ids: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Return the metadata of rows, in the order of `ids`; every column unless some are named.

        Raises
        ------
        InvalidArgument
            An id out of range, or an unknown column.
        """
        self.check_ids(ids)
        self._check_columns(columns)
        where = np.searchsorted(self._ends, ids, side="right")
        pieces, places = [self.schema.empty_table()], []
        for index in np.unique(where):
            place = np.flatnonzero(where == index)
            pieces.append(self._metadata[index].take(ids[place] - self.first_id(int(index))))
            places.append(place)
        table = pa.concat_tables(pieces)
        if places:
            table = table.take(pa.array(np.argsort(np.concatenate(places), kind="stable")))
        return table if columns is None else table.select(list(columns))

    def mask(self, where: str) -> NDArray[np.bool_]:
        """Return which rows satisfy a filter over the columns and `id`, shape (rows,).

        Raises
        ------
        InvalidPredicate
            The filter is no predicate over these columns.
        """
        predicate = Predicate(where)
        masks = [predicate.mask(self._with_ids(self.schema.empty_table(), 0))]
        first = 0
        for metadata in self._metadata:
            for table in metadata.tables():
                masks.append(predicate.mask(self._with_ids(table, first)))
                first += len(table)
        return np.concatenate(masks)

    def part_of(self, row_id: int) -> PartEntry:
        """Return the part that a row came with."""
        return self.manifest.parts[int(np.searchsorted(self._ends, row_id, side="right"))]

    def first_id(self, index: int) -> int:
        """Return the id of a part's first row."""
        return int(self._ends[index] - self.manifest.parts[index].rows)

    def check_ids(self, ids: NDArray[np.int64]) -> None:
        """Raise InvalidArgument unless all `ids` are rows of the collection."""
        out = ids[(ids < 0) | (ids >= self.rows)]
        if len(out):
            raise InvalidArgument(
                f"id {out[0]} is out of range: {self.path} has the ids 0 to {self.rows - 1:,}",
                field="id",
            )

    def check_kind(self, on: Kind) -> None:
        """Raise InvalidArgument unless the collection has vectors of this kind."""
        if on not in self.manifest.vectors:
            has = " and ".join(self.manifest.vectors)
            known = " or ".join(get_args(Kind))
            raise InvalidArgument(
                f"{self.path} has no {on!r} vectors: it has {has}; expected {known}", field="on"
            )

    def _check_columns(self, columns: Sequence[str] | None) -> None:
        unknown = [name for name in columns or () if name not in self.schema.names]
        if unknown:
            raise InvalidArgument(
                f"{self.path} has no column {unknown[0]}; it has {', '.join(self.schema.names)}",
                field="columns",
            )

    @staticmethod
    def _with_ids(table: pa.Table, first: int) -> pa.Table:
        return table.append_column("id", pa.array(np.arange(first, first + len(table))))


def _check_columns(path: Path, schema: pa.Schema, first: pa.Schema, store: Store) -> None:
    if schema.names != store.manifest.column_names or not schema.equals(first):
        raise DamagedFile(
            f"{path} has not the columns that the manifest says: it is damaged; build the collection again"
        )


def _check_size(path: Path, expected_bytes: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is missing from the collection; build it again") from error
    if size != expected_bytes:
        raise DamagedFile(
            f"{path} has {size:,} bytes, the manifest says {expected_bytes:,}: "
            "it is damaged; build the collection again"
        )
