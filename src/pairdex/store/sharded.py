"""A sharded collection as a store: several collections whose rows have one sequence of ids.

Each shard records its own removed rows and scores, so that it hides the same rows when it is opened alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairdex.errors import Mismatch
from pairdex.files import checksums
from pairdex.store.manifest import VectorField, is_sharded
from pairdex.store.removed import Tombstones
from pairdex.store.scores import (
    PartMetadata,
    score_names,
    with_same_scores,
    with_scores,
)
from pairdex.store.shard_list import joined_manifest, read_shard_list
from pairdex.store.store import Store
from pairdex.store.vectors_view import VectorsView
from pairdex.work.reopened import Reopened

__all__ = ["ShardedStore", "open_shard", "open_store", "reopened"]


def open_store(path: Path, *, mapped: bool = True) -> Store:
    """Open a collection, sharded or not; see `Store`.

    Code that reads only through the store's methods works for both. Other code calls `Store`, which
    refuses sharded collections.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, Mismatch
        As `Store`; or the shards do not fit together.
    """
    return ShardedStore(path, mapped=mapped) if is_sharded(path) else Store(path, mapped=mapped)


def open_shard(path: Path, number: int) -> Store:
    """Open one shard of a sharded collection, without opening the others; rows count from 0 in it.

    Filters see what they see in the whole collection: its ids, and its computed columns.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat, Mismatch
        As `open_store`; or the collection has fewer shards.
    """
    shards = read_shard_list(path).shards
    if number >= len(shards):
        raise Mismatch(f"{path} has {len(shards)} shards now, and shard {number} was asked for")
    names = {name for shard in shards for name in score_names(path / shard.path)}
    first_id = sum(shard.rows for shard in shards[:number])
    return _ShardOfWhole(path / shards[number].path, first_id, sorted(names))


class _ShardOfWhole(Store):
    """A shard whose filters see the ids and computed columns of the whole collection."""

    def __init__(self, path: Path, first_id: int, names: list[str]) -> None:
        super().__init__(path)
        self.metadata_files = with_scores(self.metadata_files, names)
        self._first_id = first_id

    def _long_tables(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        for first, table in super()._long_tables(columns):
            yield self._first_id + first, table


def reopened(store: Store) -> Reopened[Store]:
    """Return a store that other processes open again; there, Mismatch is raised if rows have changed."""
    return Reopened(_open_same, (store.path.resolve(), store.checksum), store)


def _open_same(path: Path, checksum: str) -> Store:
    store = open_store(path)
    if store.checksum != checksum:
        raise Mismatch(f"rows of {path} have changed meanwhile: run the same command again")
    return store


class ShardedStore(Store):
    """The files of one version of a sharded collection.

    Attributes
    ----------
    shards
        The store of each shard, in the order of ids.
    """

    def __init__(self, path: Path, *, mapped: bool = True) -> None:
        listed = read_shard_list(path)
        self.shards = tuple(Store(path / one.path, mapped=mapped) for one in listed.shards)
        manifest = joined_manifest(path, listed, [shard.manifest for shard in self.shards])
        self._begin(path, manifest, _metadata(self.shards))
        self._joined: tuple[tuple[Tombstones | None, ...], Tombstones | None] = ((), None)

    @property
    def tombstones(self) -> Tombstones | None:
        """The removed rows of all shards, as they are on disk now; None if no row was removed."""
        found = tuple(shard.tombstones for shard in self.shards)
        known, joined = self._joined
        if len(known) != len(found) or any(
            a is not b for a, b in zip(known, found, strict=True)
        ):  # a shard returns the same object until its file changes
            joined = self._together(found)
            self._joined = (found, joined)
        return joined

    def last_removed(self) -> Tombstones | None:
        """Return the removed rows as last read from each shard."""
        return self._together(tuple(shard.last_removed() for shard in self.shards))

    def _together(self, found: tuple[Tombstones | None, ...]) -> Tombstones | None:
        if all(one is None for one in found):
            return None
        live = np.concatenate(
            [
                np.ones(shard.rows, np.bool_) if one is None else one.live
                for shard, one in zip(self.shards, found, strict=True)
            ]
        )
        ids = np.flatnonzero(~live)
        return Tombstones(live, len(ids), checksums.of_bytes(ids.astype("<i8").tobytes()))

    def _opened(self, on: VectorField) -> VectorsView:
        blocks = [block for shard in self.shards for block in shard.vectors(on).blocks]
        return VectorsView(blocks, self.dim)


def _metadata(shards: tuple[Store, ...]) -> list[PartMetadata]:
    """Return the metadata of all parts; a score that only some shards have is null in the others."""
    files = [file for shard in shards for file in shard.metadata_files]
    return with_same_scores(files)
