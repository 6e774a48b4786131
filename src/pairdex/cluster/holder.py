"""What an actor does: it holds a shard, in one or more versions, and searches it.

Errors that a client should see are results, not exceptions: Ray would wrap them in its own.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.cluster.flags import PackedFlags
from pairdex.derived.projections.files import Projection
from pairdex.errors import Mismatch, PairdexError
from pairdex.files import faults
from pairdex.knn.cosine import Neighbours
from pairdex.predicate import time_limit
from pairdex.search.options import SearchOptions
from pairdex.search.searcher import Searcher
from pairdex.store.sharded import open_shard
from pairdex.store.store import Store

__all__ = ["Asked", "Holder", "NotHeld", "Opened", "ShardVersion"]


@dataclass(frozen=True)
class ShardVersion:
    """One opening of a shard by the service.

    Attributes
    ----------
    collection
        The folder of the collection, which all nodes see.
    number
        The place of the shard; None if the collection is not sharded.
    checksum
        That of the shard's manifest.
    opening
        Counts openings: codes and indexes may have changed between two of them.
    """

    collection: Path
    number: int | None
    checksum: str
    opening: int
    use_codes: bool


@dataclass(frozen=True)
class Opened:
    """An opened version: the vectors that have an index, and those whose searches are prepared."""

    indexed: tuple[str, ...] = ()
    prepared: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Asked:
    """A search of one shard.

    Attributes
    ----------
    vectors
        (n, dim).
    among
        Search exactly among these rows, instead of by the options.
    filter_seconds
        The time limit of a filter from a client; None: no limit.
    """

    on: str
    vectors: NDArray[Any]
    k: int
    options: SearchOptions
    among: PackedFlags | None
    filter_seconds: float | None


class NotHeld:
    """The answer of an actor that does not hold the version, as after its process was replaced."""


class Holder:
    """The opened versions of a shard. Ray calls its methods, in several threads."""

    def __init__(self) -> None:
        faults.survive()
        self._held: dict[ShardVersion, tuple[Searcher, Opened]] = {}
        self._opening = Lock()

    def ping(self) -> int:
        """Return the number of the process."""
        return os.getpid()

    def hold(
        self, versions: Sequence[ShardVersion]
    ) -> dict[ShardVersion, Opened | PairdexError | OSError]:
        """Open these versions and forget all others; return what was opened, or why not."""
        with self._opening:
            kept = {version: one for version, one in self._held.items() if version in versions}
            failed: dict[ShardVersion, PairdexError | OSError] = {}
            for version in versions:
                if version not in kept:
                    try:
                        kept[version] = _opened(version)
                    except (PairdexError, OSError) as error:
                        failed[version] = error
            self._held = kept
        return {version: opened for version, (_, opened) in kept.items()} | failed

    def search(self, content: bytes) -> bytes:
        """Return the pickled answer of a pickled version and `Asked`.

        Ray takes a millisecond longer for objects than for bytes.
        """
        version, asked = pickle.loads(content)  # noqa: S301 - from the service, as Ray's own messages
        return pickle.dumps(self.nearest(version, asked), pickle.HIGHEST_PROTOCOL)

    def nearest(
        self, version: ShardVersion, asked: Asked
    ) -> Neighbours | PairdexError | OSError | NotHeld:
        """Return the nearest rows of a shard, whose ids count from 0; or why there are none."""
        held = self._held.get(version)
        if held is None:
            return NotHeld()
        lost_pages = faults.count()
        try:
            with faults.checked(f"searching {version.collection.name}"):
                return _found(held[0], asked)
        except (PairdexError, OSError) as error:
            if faults.count() != lost_pages:  # opened again before anything else is read
                self._held = {}
            return error


def _opened(version: ShardVersion) -> tuple[Searcher, Opened]:
    store = _store(version)
    if store.manifest.checksum != version.checksum:
        raise Mismatch(
            f"{store.path} is not the version that the service has opened; it will open the new one"
        )
    searcher = Searcher(store, use_codes=version.use_codes)
    with faults.checked(f"opening {store.path.name}"):
        for on in store.manifest.vectors:
            searcher.prepare(on, exact=True, progress=None)
            if store.rows:  # so that the first search of a client is fast
                row = store.vectors(on)[:1].astype(np.float32)
                searcher.nearest(on, row, 1, SearchOptions(1, on=on))
    kinds = tuple(store.manifest.vectors)
    indexed = tuple(on for on in kinds if searcher.has_index(on))
    return searcher, Opened(indexed, tuple(on for on in kinds if searcher.is_prepared(on)))


def _store(version: ShardVersion) -> Store:
    if version.number is None:
        return Store(version.collection)
    return open_shard(version.collection, version.number)


def _found(searcher: Searcher, asked: Asked) -> Neighbours:
    space, seconds = searcher.space(asked.on), asked.filter_seconds
    with nullcontext() if seconds is None else time_limit(seconds):
        if asked.among is None or isinstance(space, Projection):
            return searcher.nearest(space, asked.vectors, asked.k, asked.options)
        among = asked.among.unpacked()
        return searcher.nearest_among(space, asked.vectors, asked.k, among, asked.options)
