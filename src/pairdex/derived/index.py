"""The inverted file of a collection: built, brought up to date, and opened where it fits its vectors.

`indexes/<image|text>/ivf` is derived, as the codes beside it are: it may be deleted at any time, and
searches are then exact again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from pairdex.derived.codes import find_codes
from pairdex.errors import (
    DamagedFile,
    InvalidArgument,
    Mismatch,
    MissingFile,
    UnsupportedFormat,
)
from pairdex.files import atomic, lock
from pairdex.ivf import tune
from pairdex.ivf.build import Rows, build, can_extend
from pairdex.ivf.efforts import (
    TUNED_K,
    Effort,
    Points,
    QueryKind,
    check_recall,
    read_points,
    write_points,
)
from pairdex.ivf.file import GROUP_ROWS, IvfFile, row_bytes
from pairdex.ivf.parameters import DEFAULT_RECALL, Parameters, Size, choose
from pairdex.ivf.quantiser import trained_on
from pairdex.ivf.search import InvertedIndex, open_index, points_path
from pairdex.progress import Progress, at_step
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Kind, Store
from pairdex.work.processors import usable_processors

__all__ = ["Built", "IndexReport", "find_index", "ivf_path", "make_index", "renew_index"]


_log = logging.getLogger(__name__)

# What a process needs besides the index: Python, its libraries, the rows that one search compares.
_PROCESS_BYTES = 96 * 2**20


@dataclass(frozen=True)
class IndexReport:
    """What an index is and what it reaches.

    Attributes
    ----------
    rows, bytes
        Indexed, and the size of the file.
    seconds
        To build and to measure it.
    size, nlist
        `fast` or `compact`; the number of lists.
    how
        built, extended (rows were added), or unchanged.
    on_disk
        Whether the vectors are left on disk.
    asked
        The recall that searches ask for by default.
    efforts
        For each kind of query, image and text, the operating point at that recall with k = 10; None
        where none is known.
    """

    rows: int
    bytes: int
    seconds: float
    size: Size
    nlist: int
    how: Built
    on_disk: bool
    asked: float
    efforts: dict[Kind, Effort | None]


Built = str


def ivf_path(collection: Path, on: Kind) -> Path:
    """Return where a collection's inverted file is, or would be."""
    return collection / "indexes" / on / "ivf"


def find_index(store: Store, on: Kind) -> tuple[InvertedIndex, Points] | None:
    """Open the index of the collection's vectors.

    Returns
    -------
    (InvertedIndex, Points) or None
        None where there is none; where it is damaged or of other vectors, a warning says so, and
        searches are exact.
    """
    path = ivf_path(store.path, on)
    if not path.exists():
        return None
    try:
        return open_index(path, store.vectors(on).blocks, _parts(store, on))
    except (DamagedFile, Mismatch, MissingFile, UnsupportedFormat) as error:
        _log.warning("searching exactly, without the index: %s", error)
        return None


def make_index(
    collection: Path,
    *,
    on: Kind = "image",
    recall: float = DEFAULT_RECALL,
    memory_bytes: int | None = None,
    size: Size | None = None,
    nlist: int | None = None,
    progress: Progress | None = None,
) -> IndexReport:
    """Build the index of a collection's vectors, or add the rows that it lacks, and measure it.

    Parameters
    ----------
    recall
        recall@10 that searches ask for by default.
    memory_bytes
        What building and searching may take at most: decides the size, and whether the vectors stay
        on disk.
    size
        Instead of what `memory_bytes` decides.
    nlist
        The number of lists, instead of one that follows from the rows.
    progress
        Called with what is being done, and how much of how much.

    Raises
    ------
    InvalidArgument
        Nothing to index; a value out of bounds; too little memory.
    CollectionBusy, WriteFailed
        Another writer; no room.
    """
    check_recall(recall)
    with _writing(collection, on) as store:
        size, on_disk = _fitting(store, memory_bytes, size)
        parameters = choose(store.rows, store.dim, size=size, nlist=nlist)
        wish = _Wish(recall, size, on_disk, parameters, is_nlist_asked=nlist is not None)
        return _make(store, on, wish, progress)


def renew_index(collection: Path, on: Kind, *, progress: Progress | None = None) -> IndexReport:
    """Do what `make_index` does, with the recall, size and place in memory of the index there is.

    Raises
    ------
    InvalidArgument, CollectionBusy, WriteFailed
        As `make_index`.
    """
    with _writing(collection, on) as store:
        return _make(store, on, _earlier_wish(store, on), progress)


@contextmanager
def _writing(collection: Path, on: Kind) -> Iterator[Store]:
    """Give the collection's newest version, which nobody else writes, if it can be indexed."""
    read_manifest(collection)  # raises MissingFile before the lock makes a file
    with lock.writing(collection):
        store = Store(collection)
        if on not in store.manifest.vectors:
            there = ", ".join(store.manifest.vectors)
            raise InvalidArgument(f"{collection} has no {on} vectors, it has {there}", field="on")
        if store.rows == 0:
            raise InvalidArgument(f"{collection} has no rows to index")
        yield store


@dataclass(frozen=True)
class _Wish:
    """What kind of index is asked for."""

    recall: float
    size: Size
    on_disk: bool
    parameters: Parameters
    is_nlist_asked: bool


def _earlier_wish(store: Store, on: Kind) -> _Wish:
    """Return the settings of the index there is; the defaults where there is none, or it is damaged."""
    path = ivf_path(store.path, on)
    sizes: tuple[Size, ...] = get_args(Size)
    fast = choose(store.rows, store.dim)
    try:
        file = IvfFile(path)
    except (MissingFile, DamagedFile, UnsupportedFormat):
        return _Wish(DEFAULT_RECALL, "fast", False, fast, is_nlist_asked=False)
    chosen = {size: choose(store.rows, store.dim, size=size) for size in sizes}
    size: Size = next((one for one in sizes if chosen[one].coded == file.header.coded), "fast")
    points = _known_points(path, file)
    recall, on_disk = (DEFAULT_RECALL, False) if points is None else (points.recall, points.on_disk)
    return _Wish(recall, size, on_disk, chosen[size], is_nlist_asked=False)


def _make(store: Store, on: Kind, wish: _Wish, progress: Progress | None) -> IndexReport:
    started = time.perf_counter()
    path = ivf_path(store.path, on)
    atomic.make_folder(path.parent)
    rows = _rows(store, on)
    how = _bring_up_to_date(path, rows, wish, progress)
    file = IvfFile(path)
    points = _known_points(path, file) if how == "unchanged" else None
    if points is None or (points.recall, points.on_disk) != (wish.recall, wish.on_disk):
        efforts, counts = _measured(
            store, on, InvertedIndex(file, rows.blocks, on_disk=wish.on_disk), progress
        )
        points = Points(wish.recall, efforts, counts, file.seal, wish.on_disk)
        write_points(points_path(path), points)
    found: dict[Kind, Effort | None] = {
        on: points.pick("own", TUNED_K[0], wish.recall),
        _other(on): points.pick("other", TUNED_K[0], wish.recall),
    }
    return IndexReport(
        rows=store.rows,
        bytes=path.stat().st_size,
        seconds=time.perf_counter() - started,
        size=wish.size,
        nlist=file.header.nlist,
        how=how,
        on_disk=wish.on_disk,
        asked=wish.recall,
        efforts=found,
    )


def _bring_up_to_date(path: Path, rows: Rows, wish: _Wish, progress: Progress | None) -> Built:
    old, parameters = _readable(path), wish.parameters
    if old is not None and wish.is_nlist_asked and old.header.nlist != parameters.nlist:
        old = None
    step = at_step(progress, "indexing")
    if old is not None and can_extend(old, rows, parameters):
        if old.header.parts == rows.parts:
            return "unchanged"
        build(rows, path, parameters, extend=old, threads=usable_processors(), progress=step)
        return "extended"
    build(rows, path, parameters, threads=usable_processors(), progress=step)
    return "built"


def _readable(path: Path) -> IvfFile | None:
    """Open an index that may be built upon, every byte compared with its checksums."""
    try:
        file = IvfFile(path)
        file.verify()
    except MissingFile:
        return None
    except (DamagedFile, UnsupportedFormat) as error:
        _log.warning("building the index again: %s", error)
        return None
    return file


def _known_points(path: Path, file: IvfFile) -> Points | None:
    try:
        points = read_points(points_path(path))
    except (DamagedFile, MissingFile, UnsupportedFormat):
        return None
    return points if points.of == file.seal else None


def _measured(
    store: Store, on: Kind, index: InvertedIndex, progress: Progress | None
) -> tuple[dict[QueryKind, dict[int, list[Effort]]], dict[QueryKind, int]]:
    """Measure an index on rows and on vectors of the other kind: efforts, and how many queries of each."""
    blocks, header = store.vectors(on).blocks, index.file.header
    live, codes = store.allowed(), find_codes(store, on)
    efforts: dict[QueryKind, dict[int, list[Effort]]] = {"own": {}, "other": {}}
    counts: dict[QueryKind, int] = {"own": 0, "other": 0}
    kinds: list[tuple[QueryKind, Kind]] = [("own", on), ("other", _other(on))]
    for kind, vectors in kinds:
        if vectors not in store.manifest.vectors:
            continue
        step = at_step(progress, f"measuring on {vectors} queries")
        may = np.ones(store.rows, np.bool_) if live is None else live.copy()
        if kind == "own":  # a row that a list was trained on finds it too easily
            may[trained_on(header.trained_rows, header.nlist, header.seed)] = False
        queries, ids = tune.draw_queries(store.vectors(vectors).blocks, seed=header.seed, may=may)
        own = ids if kind == "own" else ids * 0 - 1
        truth = tune.find_truth(blocks, queries, own, codes=codes, allowed=live)
        efforts[kind] = tune.measure(index, truth, kind, allowed=live, progress=step)
        counts[kind] = len(queries)
    return efforts, counts


def _rows(store: Store, on: Kind) -> Rows:
    other = _other(on)
    others = store.vectors(other).blocks if other in store.manifest.vectors else ()
    return Rows(store.vectors(on).blocks, _parts(store, on), others)


def _parts(store: Store, on: Kind) -> list[str]:
    return [part.files[on].checksum for part in store.manifest.parts if part.rows]


def _other(on: Kind) -> Kind:
    return "text" if on == "image" else "image"


def _fitting(store: Store, memory_bytes: int | None, size: Size | None) -> tuple[Size, bool]:
    """Return which size fits into memory, and whether the vectors have to stay on disk."""
    if memory_bytes is None:
        return size or "fast", False
    vectors = store.rows * store.dim * 2
    sizes: list[Size] = ["fast", "compact"] if size is None else [size]
    needs = {each: _expected_bytes(store.rows, store.dim, each) + _PROCESS_BYTES for each in sizes}
    for each, needed in needs.items():
        if needed + vectors <= memory_bytes:
            return each, False
    for each, needed in needs.items():
        if needed <= memory_bytes:
            return each, True
    least = min(needs.values())
    raise InvalidArgument(
        f"{memory_bytes:,} bytes of memory are too few for an index of {store.rows:,} rows, "
        f"expected at least {least:,}",
        field="memory",
    )


def _expected_bytes(rows: int, dim: int, size: Size) -> int:
    """Of the file: the rows, half a group a list that is not filled, and the centroids."""
    parameters = choose(rows, dim, size=size)
    a_row = row_bytes(parameters.coded) + 10
    centroid = 4 * (parameters.coded + 2) + a_row
    return (rows + parameters.nlist * GROUP_ROWS // 2) * a_row + parameters.nlist * centroid
