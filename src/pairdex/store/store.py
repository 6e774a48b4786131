"""Read a collection's files: vectors as memory maps, metadata rows by id, filters as masks.

Removed rows keep their ids, and their vectors stay in the files; `take`, `mask` and `allowed` exclude them.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pairdex.errors import DamagedFile, InvalidArgument, MissingFile, NoSuchRow
from pairdex.files import checksums
from pairdex.files.vectors import open_vectors
from pairdex.knn.distance import Metric
from pairdex.store.manifest import Manifest, PartEntry, VectorField, read_manifest
from pairdex.store.mask_cache import MaskCache
from pairdex.store.metadata import MetadataFile
from pairdex.store.ranged_file import RangedFile
from pairdex.store.ranged_metadata import RangedMetadata
from pairdex.store.ranged_vectors import RangedVectors
from pairdex.store.removed import State, Tombstones, missing, read_removed, state_of
from pairdex.store.scores import PartMetadata, joined
from pairdex.store.vectors_view import VectorsView
from pairdex.wording import counted

__all__ = [
    "Published",
    "Store",
    "VectorField",
    "as_ids",
    "check_size",
    "named_ids",
]


class Published(Protocol):
    """Where the files of a published collection come from, when they are first needed."""

    @property
    def url(self) -> str:
        """Its address, without secrets."""

    def need(self, *names: str) -> None:
        """Have files, if they are published: of these names or patterns, or in folders that end with `/`."""

    def ranged(self, name: str) -> RangedFile | None:
        """Return a file to read by ranges; None if it is here, or can only be fetched whole."""

    def has_all(self, *names: str) -> bool:
        """Return whether all of these files are published."""

    def reopening(self) -> tuple[str, int]:
        """Return the address and the limit of the cache in bytes."""

    def opened(self) -> Store:
        """Open the version that is published now."""


_FILTERED_ROWS = 1 << 18  # at once: each call of DuckDB takes 1 ms by itself


class Store:
    """The files of one version of a collection. Open it again to see parts that were added later.

    Rows removed later, by any process, disappear at once. `rows` counts all ids, including removed rows;
    `live_rows` counts the others.

    `shards` has the store of each shard of a sharded collection (`sharded.open_store`), else nothing.
    `metadata_files` has the metadata of each part, with its computed columns.

    Metadata is memory-mapped, which suits repeated reads. With `mapped=False` it is read batch by batch,
    which suits one pass over all rows in little memory.

    With `published`, the folder is a cache of a published collection, and files arrive when they are needed.

    Raises
    ------
    MissingFile
        `path` holds no collection, or a file of it is missing.
    DamagedFile
        A file does not match the manifest.
    UnsupportedFormat
        A newer release wrote the collection.
    """

    published: Published | None = None

    def __init__(
        self, path: Path, *, mapped: bool = True, published: Published | None = None
    ) -> None:
        if published is not None:
            self.published = published
        manifest = read_manifest(path)
        if published is None:
            for file in manifest.files():
                check_size(path / file.path, file.bytes)
        released = self._metadata_of(path, manifest, mapped=mapped)
        self.shards: tuple[Store, ...] = ()
        self._begin(path, manifest, joined(path, manifest, released))
        self._removed: tuple[State | None, Tombstones | None] = (None, None)
        if self.tombstones is None:  # raises if they are damaged
            self._check_same_folder()

    def need(self, *names: str) -> None:
        """Have files before they are opened: of these names or patterns, or in folders that end with `/`.

        It matters only for a published collection: other stores have all their files.
        """
        if self.published is not None:
            self.published.need(*names)

    def _metadata_of(
        self, path: Path, manifest: Manifest, *, mapped: bool
    ) -> list[MetadataFile | RangedMetadata]:
        """Open the metadata of all parts; of a published collection, by ranges where that is possible."""
        places = [part.files["metadata"].path for part in manifest.parts]
        ranged = [self._ranged(one) for one in places]
        self.need("scores/", *(one for one, by in zip(places, ranged, strict=True) if by is None))
        released: list[MetadataFile | RangedMetadata] = []
        for part, place, file in zip(manifest.parts, places, ranged, strict=True):
            if file is not None:
                first = released[0].schema if released else None
                released.append(RangedMetadata(file, part.rows, first))
            else:
                check_size(path / place, part.files["metadata"].bytes)
                released.append(MetadataFile(path / place, part.rows, mapped=mapped))
            schema, first = released[-1].schema, released[0].schema
            _check_columns(path / place, schema, first, manifest)
        return released

    def _ranged(self, name: str) -> RangedFile | None:
        """Return a published file that is read by ranges."""
        return None if self.published is None else self.published.ranged(name)

    def _begin(self, path: Path, manifest: Manifest, metadata: Sequence[PartMetadata]) -> None:
        self.path = path
        self.manifest = manifest
        self.rows = manifest.rows
        self.metadata_files = list(metadata)
        self._ends = np.cumsum([part.rows for part in manifest.parts], dtype=np.int64)
        self._firsts = [
            int(end) - part.rows for end, part in zip(self._ends, manifest.parts, strict=True)
        ]
        # A store keeps the files that it opened first.
        self._views: dict[VectorField, VectorsView] = {}
        self._masks = MaskCache()

    @property
    def name(self) -> str:
        """The name of the collection: that of its folder, also after the folder was renamed."""
        if self.published is not None:
            return self.manifest.name
        return self.path.resolve().name or self.manifest.name

    @property
    def dim(self) -> int:
        """The dimension of the vectors."""
        return self.manifest.dim

    @property
    def metric(self) -> Metric:
        """How searches compare the vectors."""
        return self.manifest.metric

    def check_cosine(self, what: str) -> None:
        """Raise Mismatch unless searches compare vectors by cosine, which `what` needs."""
        self.manifest.check_cosine(self.path, what)

    @property
    def schema(self) -> pa.Schema:
        """The metadata columns with their types: first those of the parts, then the computed columns."""
        return self.metadata_files[0].schema

    @property
    def tombstones(self) -> Tombstones | None:
        """The removed rows, as they are on disk now; None if no row was removed.

        Raises
        ------
        MissingFile
            The folder, or the file of removed rows, has disappeared.
        DamagedFile, UnsupportedFormat, Mismatch
            The file of removed rows is damaged, has another format, or belongs to another collection.
        """
        known, tombstones = self._removed  # first: another thread may write it meanwhile
        state = state_of(self.path)
        if state != known:
            if state is None:
                raise missing(self.path)
            tombstones = read_removed(self.path, self.manifest)
            self._removed = (
                state,
                tombstones,
            )  # one assignment: a thread sees the old or the new pair
        return tombstones

    def check_follows(self, earlier: Store) -> None:
        """Raise MissingFile if this version contains rows that were removed from an earlier version.

        Only versions with common parts are compared: another collection in the same folder has other rows.
        """
        removed = earlier.last_removed()
        if removed is None or not _shares_rows(self.manifest, earlier.manifest):
            return
        live, n = self.allowed(), min(self.rows, earlier.rows)
        if live is None or (live[:n] & ~removed.live[:n]).any():
            raise missing(self.path)

    def last_removed(self) -> Tombstones | None:
        """Return the removed rows as last read; their file may have disappeared since."""
        return self._removed[1]

    def _check_same_folder(self) -> None:
        """Raise MissingFile if another collection replaced this one while it was being opened.

        In that case the missing file of removed rows says nothing about the collection of the manifest.
        """
        if not _shares_rows(read_manifest(self.path), self.manifest):
            raise MissingFile(f"{self.path} was replaced while it was being opened; open it again")

    @property
    def removed(self) -> NDArray[np.bool_] | None:
        """A mask of the removed rows, shape (rows,); None if no row was removed."""
        tombstones = self.tombstones
        return None if tombstones is None else ~tombstones.live

    @property
    def live_rows(self) -> int:
        """The number of rows that were not removed."""
        tombstones = self.tombstones
        return self.rows - (0 if tombstones is None else tombstones.count)

    @property
    def checksum(self) -> str:
        """The checksum of the live rows; files derived from them record it."""
        tombstones = self.tombstones
        if tombstones is None:
            return self.manifest.checksum
        return checksums.of_bytes(f"{self.manifest.checksum} {tombstones.checksum}".encode())

    def vectors(self, on: VectorField) -> VectorsView:
        """Return the image or text vectors by id, memory-mapped, including those of removed rows.

        Raises
        ------
        InvalidArgument
            The collection has no such vectors.
        """
        self.check_kind(on)
        if on not in self._views:
            self._views[on] = self._opened(on)
        return self._views[on]

    def take(self, ids: ArrayLike, columns: Iterable[str] | None = None) -> pa.Table:
        """Return the metadata of rows in the order of `ids`: the given columns, or all of them.

        Raises
        ------
        InvalidArgument
            `ids` are not integers of shape (n,), an id is out of range or was removed, or a column is
            unknown.
        """
        array = as_ids(ids, field="ids")
        self.check_ids(array)
        return self.read(array, columns)

    def read(self, ids: NDArray[np.int64], columns: Iterable[str] | None = None) -> pa.Table:
        """Return the metadata of rows as `take` does, but allow removed rows."""
        self.check_range(ids)
        self._check_columns(columns)
        names = None if columns is None else list(columns)
        if names == []:  # Arrow forgets the number of rows of files that are read without a column
            return self.read(ids, self.schema.names[:1]).select([])
        where = np.searchsorted(self._ends, ids, side="right")
        empty = self.schema.empty_table()
        pieces, places = [empty if names is None else empty.select(names)], []
        for index in np.unique(where):
            place = np.flatnonzero(where == index)
            rows = ids[place] - self.first_id(int(index))
            pieces.append(self.metadata_files[index].take(rows, names))
            places.append(place)
        table = pa.concat_tables(pieces)
        if places:
            table = table.take(pa.array(np.argsort(np.concatenate(places), kind="stable")))
        return table

    def values(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return rows, all in range, as dictionaries of JSON values; removed rows are allowed.

        This is fast for a few rows; use `read` for many.
        """
        names = self.schema.names
        found = []
        for row_id in ids:
            index = bisect.bisect_right(self._firsts, row_id) - 1
            (values,) = self.metadata_files[index].values([row_id - self._firsts[index]])
            found.append(dict(zip(names, values, strict=True)))
        return found

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield the metadata of all rows, including removed rows, in order: (first id, table of one batch).

        `columns` are the columns to read, at least one; None for all.
        """
        first = 0
        for metadata in self.metadata_files:
            for table in metadata.tables(columns):
                yield first, table
                first += len(table)

    def _long_tables(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """Yield the same as `tables` in fewer and longer tables, without a copy; at least one."""
        empty = self.schema.empty_table().select(columns)
        first, waiting = 0, empty
        for _, table in self.tables(columns):
            waiting = pa.concat_tables([waiting, table])
            if len(waiting) >= _FILTERED_ROWS:
                yield first, waiting
                first, waiting = first + len(waiting), empty
        if len(waiting) or not first:
            yield first, waiting

    def part_tables(self, index: int) -> Iterator[pa.Table]:
        """Yield the metadata of a part's rows, including removed rows, in order, one batch at a time."""
        yield from self.metadata_files[index].tables()

    def matching(self, where: str) -> NDArray[np.bool_]:
        """Return a mask, shape (rows,), of rows that satisfy a filter over the columns and `id`.

        Removed rows are included. The mask is cached and read-only.

        Raises
        ------
        InvalidPredicate
            The filter is not a valid predicate over these columns.
        """
        known = self._masks.get(where)
        if known is not None:
            return known
        masks = self._masks_of(where, self._long_tables(self._columns_of(where)))
        return self._masks.keep(where, np.concatenate(masks))

    def _columns_of(self, where: str) -> list[str]:
        """Return the columns that a filter needs, at least one; all of them unless they are read by ranges."""
        names = list(self.schema.names)
        if self.published is None:
            return names
        self.check_filter(where)  # while all columns are known: it names those that exist
        from pairdex.predicate import Predicate  # noqa: PLC0415 - DuckDB loads slowly

        named = Predicate(where).columns
        found = [name for name in names if name.lower() in named]
        numbers = [field.name for field in self.schema if pa.types.is_primitive(field.type)]
        return found or numbers[:1] or names[:1]

    def knows(self, where: str) -> bool:
        """Whether the mask of a filter is cached, so that the filter need not be checked again."""
        return self._masks.get(where) is not None

    def check_filter(self, where: str) -> None:
        """Check a filter against the columns and `id`; raises as `matching`."""
        self._masks_of(where, [(0, self.schema.empty_table())])

    def _masks_of(
        self, where: str, tables: Iterable[tuple[int, pa.Table]]
    ) -> list[NDArray[np.bool_]]:
        from pairdex.predicate import Predicate  # noqa: PLC0415 - DuckDB loads slowly

        predicate = Predicate(where)
        return [predicate.mask(self._with_ids(table, first)) for first, table in tables]

    def mask(self, where: str) -> NDArray[np.bool_]:
        """Return a mask, shape (rows,), of live rows that satisfy a filter; raises as `matching`."""
        mask = self.matching(where)
        tombstones = self.tombstones
        return mask if tombstones is None else mask & tombstones.live

    def allowed(self, where: str | None = None) -> NDArray[np.bool_] | None:
        """Return a mask, shape (rows,), of rows that a search may find; None if it may find all."""
        if where is not None:
            return self.mask(where)
        tombstones = self.tombstones
        return None if tombstones is None else tombstones.live

    def part_of(self, row_id: int) -> PartEntry:
        """Return the part that contains a row."""
        return self.manifest.parts[int(np.searchsorted(self._ends, row_id, side="right"))]

    def first_id(self, index: int) -> int:
        """Return the id of a part's first row."""
        return int(self._ends[index] - self.manifest.parts[index].rows)

    def check_ids(self, ids: NDArray[np.int64]) -> None:
        """Raise InvalidArgument unless all `ids` are live rows of the collection."""
        self.check_range(ids)
        tombstones = self.tombstones
        if tombstones is not None and not tombstones.live[ids].all():
            gone = ids[~tombstones.live[ids]][0]
            raise NoSuchRow(f"id {gone} was removed from {self.path}", field="id")

    def check_range(self, ids: NDArray[np.int64]) -> None:
        """Raise InvalidArgument unless all `ids` are live or removed rows of the collection."""
        out = ids[(ids < 0) | (ids >= self.rows)]
        if len(out):
            raise NoSuchRow(
                f"id {out[0]} is out of range: {self.path} has {named_ids(self.rows)}", field="id"
            )

    def check_kind(self, on: VectorField) -> None:
        """Raise InvalidArgument unless the collection has vectors of this kind."""
        if on not in self.manifest.vectors:
            has = " and ".join(self.manifest.vectors)
            known = " or ".join(get_args(VectorField))
            raise InvalidArgument(
                f"{self.path} has no {on!r} vectors: it has {has}; expected {known}", field="on"
            )

    def _opened(self, on: VectorField) -> VectorsView:
        files = [self._ranged(part.files[on].path) for part in self.manifest.parts]
        if any(file is not None for file in files):
            rows = [part.rows for part in self.manifest.parts]
            return RangedVectors(files, rows, self.dim, partial(self._blocks, on))
        return VectorsView(self._blocks(on, range(len(files))), self.dim)

    def _blocks(self, on: VectorField, indexes: Sequence[int]) -> list[NDArray[np.float16]]:
        """Map the vectors of parts; those of a published collection are fetched whole."""
        blocks, parts = [], [self.manifest.parts[index] for index in indexes]
        self.need(*(part.files[on].path for part in parts))
        for part in parts:
            file = open_vectors(self.path / part.files[on].path)
            if (file.rows, file.dim) != (part.rows, self.dim):
                raise DamagedFile(
                    f"{file.path} is damaged: it has {counted(file.rows, 'vector')} of {file.dim} dimensions, the "
                    f"manifest says {part.rows:,} of {self.dim}; build the collection again"
                )
            blocks.append(file.mapped())
        return blocks

    def _check_columns(self, columns: Iterable[str] | None) -> None:
        unknown = [name for name in columns or () if name not in self.schema.names]
        if unknown:
            raise InvalidArgument(
                f"{self.path} has no column {unknown[0]}; it has {', '.join(self.schema.names)}",
                field="columns",
            )

    @staticmethod
    def _with_ids(table: pa.Table, first: int) -> pa.Table:
        return table.append_column("id", pa.array(np.arange(first, first + len(table))))


def _shares_rows(one: Manifest, other: Manifest) -> bool:
    """Whether the common parts of two versions are equal, so that an id means the same row in both."""
    return all(
        mine.files["image"].checksum == theirs.files["image"].checksum
        for mine, theirs in zip(one.parts, other.parts, strict=False)
    )


def _check_columns(path: Path, schema: pa.Schema, first: pa.Schema, manifest: Manifest) -> None:
    if schema.names != manifest.column_names or not schema.equals(first):
        raise DamagedFile(
            f"{path} is damaged: its columns do not match the manifest; build the collection again"
        )


def as_ids(ids: ArrayLike, *, field: str) -> NDArray[np.int64]:
    """Convert ids to int64, shape (n,). The ids may be out of range of a collection.

    Raises
    ------
    InvalidArgument
        The ids are not integers, have another shape, or exceed int64. `field` is the argument's name.
    """
    array = np.asarray(ids)
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype.kind == "O" and all(isinstance(each, int) for each in array.flat):
        raise InvalidArgument(f"id {max(array.flat, key=abs)} is out of range", field=field)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidArgument(
            f"{field} are {array.dtype} of shape {array.shape}, expected integers (n,)", field=field
        )
    if array.max() > np.iinfo(np.int64).max:
        raise InvalidArgument(f"id {array.max()} is out of range", field=field)
    return array.astype(np.int64)


def check_size(path: Path, expected_bytes: int) -> None:
    """Raise MissingFile or DamagedFile unless a file exists and has the size in the manifest."""
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingFile(f"{path} is missing from the collection; build it again") from error
    if size != expected_bytes:
        raise DamagedFile(
            f"{path} is damaged: it has {size:,} bytes, the manifest says {expected_bytes:,}; "
            "build the collection again"
        )


def named_ids(rows: int) -> str:
    """Return how an error names the ids of a collection."""
    return f"the ids 0 to {rows - 1:,}" if rows else "no rows"
