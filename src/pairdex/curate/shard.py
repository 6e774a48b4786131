"""Divide a collection into shards, or put collections together as shards of one.

The shards lie below the new folder and share files with their sources where the file system allows it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pairdex.arguments import StrPath, checked
from pairdex.curate.shard_files import Placed, ShardSource, place_shard, shard_bytes
from pairdex.errors import InvalidArgument, Mismatch, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.os_advice import explained
from pairdex.progress import Meter, Progress, at_step
from pairdex.store.shard_list import ShardList, check_fit, entry_of, write_shard_list
from pairdex.store.store import Store
from pairdex.version import __version__
from pairdex.wording import counted

__all__ = ["SHARDS", "ShardReport", "join_shards", "shard"]

SHARDS = "shards"
_RECIPE = "recipe.json"  # of an unfinished folder: what its files belong to


@dataclass(frozen=True)
class ShardReport:
    """What a sharded collection holds.

    Attributes
    ----------
    shards, rows
        The number of shards, and of their rows, including removed rows.
    linked, copied
        The bytes that this call shared with the sources, and the bytes that it copied; what an interrupted
        call had placed before is not among them.
    """

    shards: int
    rows: int
    linked: int
    copied: int
    seconds: float


@checked
def shard(
    collection: StrPath, shards: int, out: StrPath, *, progress: Progress | None = None
) -> ShardReport:
    """Divide a collection into shards: a folder that is searched like the collection. Repeat to resume.

    Rows keep their ids. Each shard gets consecutive parts and is a collection of its own. The source stays
    as it is; rows that are removed from it later are not removed from the shards.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    shards
        The number of shards, from 1 to the number of parts.
    out
        The folder to make.
    progress
        Called with the step, the bytes done and the bytes in total.

    Raises
    ------
    InvalidArgument
        The collection has fewer parts, or `out` is not an empty folder.
    Mismatch
        Rows were removed meanwhile.
    CollectionBusy, WriteFailed
        Another process writes the collection or `out`; the disk is full.
    """
    store = Store(Path(collection))
    parts = store.manifest.parts
    if not 1 <= shards <= len(parts):
        raise InvalidArgument(
            f"cannot make {shards:,} shards of {store.path}: it has {counted(len(parts), 'part')}, and a shard has "
            "at least one; expected 1 to that many",
            field="shards",
        )
    cuts = _cuts([part.rows for part in parts], shards)
    name = store.name
    sources = [
        ShardSource(store, range(first, stop), f"{name}-{number:05}")
        for number, (first, stop) in enumerate(pairwise(cuts))
    ]
    return _made(sources, name, Path(out), progress)


@checked
def join_shards(
    collections: Iterable[StrPath], out: StrPath, *, progress: Progress | None = None
) -> ShardReport:
    """Put collections together as shards of one, such as those built on several machines. Repeat to resume.

    The first collection's rows keep their ids, and those of the next follow. All must have the same vectors,
    columns, model and rules for rows.

    Parameters
    ----------
    collections
        The paths of the collections, or opened ones, in the order of the new ids.
    out
        The folder to make. Its name becomes the name of the collection.
    progress
        Called with the step, the bytes done and the bytes in total.

    Raises
    ------
    InvalidArgument
        There are no collections, one comes twice, or `out` is not an empty folder.
    Mismatch
        The collections are of different kinds, or rows were removed meanwhile.
    CollectionBusy, WriteFailed
        Another process writes a collection or `out`; the disk is full.
    """
    stores = [Store(Path(one)) for one in collections]
    places = [store.path.resolve() for store in stores]
    if not stores or len({*places}) != len(places):
        raise InvalidArgument(
            "there is no collection to join, or one of them twice; name each once",
            field="collections",
        )
    check_fit([store.path for store in stores], [store.manifest for store in stores])
    sources = [ShardSource(store, range(len(store.manifest.parts)), store.name) for store in stores]
    return _made(sources, Path(out).resolve().name, Path(out), progress)


def _cuts(rows: Sequence[int], shards: int) -> list[int]:
    """Return where shards begin and end, as numbers of parts: about the same rows in each, one part at least.

    Examples
    --------
    >>> _cuts([10, 10, 10, 30], 2)
    [0, 3, 4]
    """
    ends = np.cumsum(rows)
    cuts = [0]
    for number in range(1, shards):
        goal = ends[-1] * number / shards
        nearest = int(np.argmin(np.abs(ends - goal))) + 1
        cuts.append(min(max(nearest, cuts[-1] + 1), len(rows) - (shards - number)))
    return [*cuts, len(rows)]


def _made(
    sources: Sequence[ShardSource], name: str, out: Path, progress: Progress | None
) -> ShardReport:
    started = time.perf_counter()
    placed, entries = Placed(), []
    meter = Meter(sum(map(shard_bytes, sources)), at_step(progress, "linking"))
    before = [source.store.checksum for source in sources]
    with _locked(sources), _unfinished(out, before, sources) as folder:
        for number, source in enumerate(sources):
            path = f"{SHARDS}/{number:05}"
            manifest = place_shard(source, folder / path, placed, meter)
            entries.append(entry_of(path, manifest))
        if [source.store.checksum for source in sources] != before:
            raise Mismatch("rows were removed meanwhile: run the same command again")
        write_shard_list(folder, ShardList(name, f"pairdex {__version__}", entries))
    seconds = time.perf_counter() - started
    rows = sum(entry.rows for entry in entries)
    return ShardReport(len(entries), rows, placed.linked, placed.copied, seconds)


@contextmanager
def _locked(sources: Sequence[ShardSource]) -> Iterator[None]:
    """Keep other processes from writing the sources."""
    with ExitStack() as stack:
        for path in sorted({source.store.path.resolve() for source in sources}):
            stack.enter_context(lock.writing(path))
        yield


@contextmanager
def _unfinished(out: Path, before: list[str], sources: Sequence[ShardSource]) -> Iterator[Path]:
    """Yield a folder beside `out` that becomes `out`; it keeps files of an interrupted call of the same work."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InvalidArgument(f"{out} already exists; name a new folder", field="out")
    folder = out.resolve().with_name(f".{out.resolve().name}.shards")
    atomic.make_folder(folder)
    with lock.writing(folder):
        cuts = [[source.parts.start, source.parts.stop] for source in sources]
        recipe = json.dumps({"sources": before, "parts": cuts}).encode()
        record = folder / _RECIPE
        if not record.is_file() or record.read_bytes() != recipe:
            atomic.empty_folder(folder)
            atomic.write_bytes(record, recipe)
        yield folder
        record.unlink()
        _publish(folder, out)


def _publish(folder: Path, out: Path) -> None:
    for path in (*(one for one in folder.rglob("*") if one.is_dir()), folder):
        atomic.sync_folder(path)
    try:
        folder.replace(out.resolve())
    except OSError as error:
        raise WriteFailed(f"cannot write {explained(error, out)}") from error
    atomic.sync_folder(out.resolve().parent)
