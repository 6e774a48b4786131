"""The sources of examples: a collection, a folder of parts, or a folder of img2dataset shards.

A source consists of units (parts or shards), each read in one streaming pass.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.encoders.pictures import SUFFIXES
from pairdex.errors import DamagedFile, InvalidArgument, Mismatch
from pairdex.exports.names import Config
from pairdex.exports.training.features import CONFIGS, Example, metadata_features
from pairdex.parts.columns import collection_names, plan_columns, read_tables
from pairdex.parts.layout import Part, find_parts
from pairdex.parts.shards import RowNumbers, Shard, find_shards, read_shard_table, shard_schema
from pairdex.store.manifest import MANIFEST
from pairdex.store.metadata import BATCH_ROWS
from pairdex.store.pictures import picture_path
from pairdex.store.sharded import open_store
from pairdex.store.store import Store

__all__ = ["Pair", "Source", "open_source"]


@dataclass(frozen=True)
class Pair:
    """An example before its picture is decoded.

    `shard` and `row` are its position in the release, `features` are all features except the picture.
    `picture` is the content of the stored picture file, for the configuration `images`.
    """

    shard: int
    row: int
    features: Example
    picture: bytes | None = None

    @property
    def key(self) -> str:
        """The key of the example in TFDS."""
        return f"{self.shard}_{self.row}"


@dataclass
class Left:
    """Counts of the rows that are left out, by reason."""

    counts: dict[str, int] = field(default_factory=dict)

    def out(self, reason: str, rows: int = 1) -> None:
        """Count rows that are left out for a reason."""
        if rows:
            self.counts[reason] = self.counts.get(reason, 0) + rows


class Source(Protocol):
    """Pairs in units that can be read one by one; `dim` is None if there are no vectors."""

    dim: int | None
    identity: str

    def rows(self) -> list[int]:
        """Return the number of rows of each unit, including rows that are left out."""

    def pairs(self, unit: int, left: Left) -> Iterator[Pair]:
        """Yield the pairs of a unit in order, and count the rows left out."""


def open_source(place: Path, config: Config) -> Source:
    """Open the collection, the parts or the shards in the folder `place`.

    Raises
    ------
    MissingFile, DamagedFile, Mismatch, InvalidArgument
        `place` does not exist, is damaged, or has no such examples.
    """
    if config not in CONFIGS:
        raise InvalidArgument(
            f"the configuration is {config!r}, expected {' or '.join(CONFIGS)}", field="config"
        )
    if (place / MANIFEST).exists():
        store = open_store(place)
        return CollectionPictures(store) if config == "images" else CollectionVectors(store)
    return ShardPictures(place) if config == "images" else PartVectors(place)


class CollectionVectors:
    """The rows of a collection with image and text vectors."""

    def __init__(self, store: Store) -> None:
        for kind in ("image", "text"):
            store.check_kind(kind)
        self._store = store
        self._vectors = {kind: store.vectors(kind) for kind in ("image", "text")}
        self.dim: int | None = store.dim
        self.identity = store.checksum

    def rows(self) -> list[int]:
        return [part.rows for part in self._store.manifest.parts]

    def pairs(self, unit: int, left: Left) -> Iterator[Pair]:
        for ids in live_ids(self._store, unit, left):
            table = self._store.take(ids)
            vectors = {kind: view[ids] for kind, view in self._vectors.items()}
            yield from _with_vectors(table, _origin(table), vectors)


class CollectionPictures:
    """The rows of a collection with local pictures."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dim: int | None = None
        self.identity = store.checksum

    def rows(self) -> list[int]:
        return [part.rows for part in self._store.manifest.parts]

    def pairs(self, unit: int, left: Left) -> Iterator[Pair]:
        part = self._store.manifest.parts[unit]
        for ids in live_ids(self._store, unit, left):
            table = self._store.take(ids)
            names = (
                table["image_path"].to_pylist()
                if "image_path" in table.column_names
                else [None] * len(table)
            )
            origin, features = _origin(table), metadata_features(table)
            for (shard, row), values, name in zip(origin, features, names, strict=True):
                path = picture_path(part, name)
                if path is None:
                    left.out("no local picture")
                    continue
                yield Pair(shard, row, values, path.read_bytes())


class PartVectors:
    """All rows of released parts."""

    def __init__(self, folder: Path) -> None:
        self._parts = find_parts(folder)
        for part in self._parts:
            if part.text is None:
                raise Mismatch(
                    f"{folder} has no text vectors, which the configuration embeddings needs; name parts that "
                    "have them"
                )
        self.dim: int | None = self._parts[0].dim
        self.identity = str(folder.resolve())

    def rows(self) -> list[int]:
        return [part.rows for part in self._parts]

    def pairs(self, unit: int, left: Left) -> Iterator[Pair]:  # noqa: ARG002 - all rows are kept
        part = self._parts[unit]
        first = 0
        for table, vectors in _part_blocks(part):
            origin = [(part.number, first + i) for i in range(len(table))]
            yield from _with_vectors(table, origin, vectors)
            first += len(table)


class ShardPictures:
    """The pictures of img2dataset shards."""

    def __init__(self, folder: Path) -> None:
        self._shards = find_shards(folder)
        self.dim: int | None = None
        self.identity = str(folder.resolve())

    def rows(self) -> list[int]:
        return [shard_schema(shard.table)[1] for shard in self._shards]

    def pairs(self, unit: int, left: Left) -> Iterator[Pair]:
        shard = self._shards[unit]
        table = read_shard_table(shard.table)
        keys = table["key"] if "key" in table.column_names else None
        row_of = RowNumbers(shard.digits, len(table), keys)
        features = list(metadata_features(collection_names(table)))
        seen = 0
        for stem, content in _pictures_of(shard):
            row = row_of(stem)
            if row is None:
                left.out("no row for the picture")
                continue
            seen += 1
            yield Pair(shard.number, row, features[row], content)
        left.out("no picture for the row", len(table) - seen)


def live_ids(store: Store, unit: int, left: Left) -> Iterator[NDArray[np.int64]]:
    """Yield the ids of the live rows of a part in order, in blocks of at most BATCH_ROWS."""
    first, rows = store.first_id(unit), store.manifest.parts[unit].rows
    removed = store.removed
    for start in range(first, first + rows, BATCH_ROWS):
        ids = np.arange(start, min(start + BATCH_ROWS, first + rows))
        if removed is not None:
            is_removed = removed[ids]
            left.out("removed", int(np.count_nonzero(is_removed)))
            ids = ids[~is_removed]
        yield ids


def _origin(table: pa.Table) -> list[tuple[int, int]]:
    return list(zip(table["part"].to_pylist(), table["row"].to_pylist(), strict=True))


def _with_vectors(
    table: pa.Table, origin: list[tuple[int, int]], vectors: dict[str, NDArray[np.float16]]
) -> Iterator[Pair]:
    for i, ((shard, row), values) in enumerate(zip(origin, metadata_features(table), strict=True)):
        embeddings = {f"{kind}_embedding": rows[i] for kind, rows in vectors.items()}
        yield Pair(shard, row, values | embeddings)


def _part_blocks(part: Part) -> Iterator[tuple[pa.Table, dict[str, NDArray[np.float16]]]]:
    assert part.text is not None, "checked when the source was opened"
    assert part.metadata is not None, "only a bundle may lack metadata, and it has no text vectors"
    tables = read_tables(part.metadata, plan_columns([part]), BATCH_ROWS)
    images, texts = part.image.blocks(BATCH_ROWS), part.text.blocks(BATCH_ROWS)
    for table, image, text in zip(tables, images, texts, strict=True):
        yield table, {"image": image, "text": text}


def _pictures_of(shard: Shard) -> Iterator[tuple[str, bytes]]:
    """Yield the name (without suffix) and the content of every picture in a tar."""
    try:
        with tarfile.open(shard.tar, "r:") as archive:
            for member in archive:
                name = Path(member.name)
                if member.isfile() and name.suffix.lower() in SUFFIXES:
                    file = archive.extractfile(member)
                    assert file is not None, "isfile() is true"
                    yield name.stem, file.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DamagedFile(f"{shard.tar} cannot be read: {error}; fetch it again") from error
