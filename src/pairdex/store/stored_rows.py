"""The rows of an opened collection, by id, slice and list: metadata, vectors, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pairdex.arguments import as_array, checked
from pairdex.errors import InvalidArgument, NoSuchRow
from pairdex.parts.model_record import ModelRecord
from pairdex.store.manifest import Manifest, VectorField
from pairdex.store.pictures import picture_path
from pairdex.store.row_html import Pictures, Row, grid
from pairdex.store.store import Store, as_ids
from pairdex.store.vectors_view import VectorsView
from pairdex.wording import counted

__all__ = ["StoredRows"]

_SAMPLE = 12  # rows that a notebook shows of a collection


class StoredRows:
    """The part of `Collection` that reads rows without searching."""

    def __init__(self, store: Store) -> None:
        self._place = store.path
        self._url = None if store.published is None else store.published.url
        self._opened: Store | None = store

    def close(self) -> None:
        """Close the files. Later uses, except `path`, raise InvalidArgument."""
        self._opened = None

    @property
    def _store(self) -> Store:
        if self._opened is None:
            raise InvalidArgument(
                f"the collection {self._url or self._place} is closed; open it again"
            )
        return self._opened

    def __fspath__(self) -> str:
        return str(self.path)

    def __len__(self) -> int:
        return self._store.live_rows

    def _repr_html_(self) -> str | None:
        """Return a few rows, spread over the collection, as a grid; None if it is closed."""
        if self._opened is None:
            return None
        ids = self._spread(_SAMPLE)
        title = f"{self.name}: {counted(len(self), 'row')} of {self.dim} dimensions"
        if len(ids) < len(self):
            title += f"; {len(ids)} of them, spread over the collection"
        rows = self._rows(ids).to_pylist()
        return grid(rows, Pictures(self._place.absolute()), title=title)

    def _spread(self, count: int) -> NDArray[np.int64]:
        """Return at most `count` ids of live rows, evenly spaced."""
        live = self._store.allowed()
        ids = np.arange(self._store.rows) if live is None else np.flatnonzero(live)
        places = np.linspace(0, len(ids), min(count, len(ids)), endpoint=False)
        return np.asarray(ids[places.astype(np.int64)], np.int64)

    def __contains__(self, row_id: object) -> bool:
        if isinstance(row_id, bool) or not isinstance(row_id, (int, np.integer)):
            return False
        live = self._store.allowed()
        return 0 <= int(row_id) < self._store.rows and (live is None or bool(live[row_id]))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for first, table in self._store.tables():
            ids = np.arange(first, first + len(table))
            live = self._store.allowed()
            if live is not None:
                ids = ids[live[ids]]
            rows = table.take(pa.array(ids - first)).to_pylist()
            yield from (
                {"id": row_id, **row} for row_id, row in zip(ids.tolist(), rows, strict=True)
            )

    @overload
    def __getitem__(self, key: int) -> Row: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | NDArray[Any]) -> pa.Table: ...
    def __getitem__(self, key: int | slice | Sequence[int] | NDArray[Any]) -> Row | pa.Table:
        if isinstance(key, slice):
            return self._rows(self._ids_of(key))
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            values = self._rows(as_ids([key], field="key")).to_pylist()[0]
            return Row(values, self._place.absolute())
        return self._rows(as_ids(as_array(key, field="key"), field="key"))

    def _ids_of(self, key: slice) -> NDArray[np.int64]:
        """Return the ids of the live rows in a slice."""
        if any(isinstance(end, int) and end < 0 for end in (key.start, key.stop)):
            raise NoSuchRow(f"ids begin at 0: got the slice {key.start}:{key.stop}", field="key")
        try:
            ids = np.arange(*key.indices(self._store.rows), dtype=np.int64)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"the slice is wrong: {error}", field="key") from error
        live = self._store.allowed()
        return ids if live is None else ids[live[ids]]

    def _rows(self, ids: NDArray[np.int64]) -> pa.Table:
        return self._store.take(ids).add_column(0, "id", pa.array(ids, pa.int64()))

    @property
    def path(self) -> Path:
        """The folder of the collection.

        Raises
        ------
        InvalidArgument
            It was opened from an address, so there is no folder that functions could read or change.
        """
        if self._url is not None:
            raise InvalidArgument(
                f"the collection was opened read-only from {self._url}: fetch it with pairdex pull, and "
                "use the folder",
                field="collection",
            )
        return self._place

    @property
    def name(self) -> str:
        """The name of the collection: that of its folder."""
        return self._store.name

    @property
    def removed(self) -> int:
        """The number of removed rows; their ids are not reused."""
        return self._store.rows - self._store.live_rows

    @property
    def dim(self) -> int:
        """The dimension of the vectors."""
        return self._store.dim

    @property
    def columns(self) -> list[str]:
        """The names of the metadata columns."""
        return list(self._store.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """The metadata columns with their Arrow types."""
        return self._store.schema

    @property
    def checksum(self) -> str:
        """The checksum of the live rows; it changes when rows are removed."""
        return self._store.checksum

    @property
    def manifest(self) -> Manifest:
        """The content of the manifest: parts, origin, counts, filter, model."""
        return self._store.manifest

    @property
    def model(self) -> ModelRecord | None:
        """The record of the model that made the vectors, or None if it is unknown."""
        return self._store.manifest.model

    @checked
    def vectors(self, on: VectorField = "image") -> VectorsView:
        """Return the image or text vectors by id, float16: `c.vectors("image")[1000:2000]`.

        Vectors of removed rows are included.

        Parameters
        ----------
        on
            The kind of vectors: `image` or `text`.
        """
        return self._store.vectors(on)

    @checked
    def take(self, ids: ArrayLike, columns: Iterable[str] | None = None) -> pa.Table:
        """Return the metadata of rows, in the order of `ids`.

        Parameters
        ----------
        ids
            Integers (n,): any iterable or array.
        columns
            The names of the columns to return. None: all.

        Raises
        ------
        InvalidArgument
            An id is out of range or was removed, or a column is unknown.
        """
        return self._store.take(as_ids(as_array(ids, field="ids"), field="ids"), columns)

    def values(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return the metadata of a few rows, all in range, as dictionaries of JSON values.

        Parameters
        ----------
        ids
            Integers (n,).
        """
        return self._store.values(ids)

    @property
    def live(self) -> NDArray[np.bool_] | None:
        """A mask of the live rows, shape (rows,); None if no row was removed."""
        return self._store.allowed()

    @checked
    def picture(self, row_id: int) -> Path | None:
        """Return the path of the local picture of a row, or None.

        The path is always inside the folders that the pictures were encoded from.

        Parameters
        ----------
        row_id
            The id of the row.
        """
        self._store.check_ids(np.array([row_id], np.int64))
        if "image_path" not in self.columns:
            return None
        name = self.take([row_id], ["image_path"])["image_path"][0].as_py()
        return picture_path(self._store.part_of(row_id), name)
