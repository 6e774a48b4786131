"""The inverted file (IVF index) of a collection: built, extended, measured and opened.

`indexes/<image|text>/ivf` is derived data, like the codes beside it. It may be deleted at any time;
searches are then exact.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from pairdex.arguments import StrPath, checked
from pairdex.derived.codes import find_own_codes
from pairdex.derived.graph import GraphReport, earlier_settings, make_graph
from pairdex.derived.index_costs import costs_of
from pairdex.derived.index_files import known_points, part_checksums, whole_file
from pairdex.derived.index_report import Built, IndexReport, together
from pairdex.derived.index_sizes import fitting_graph, fitting_lists, memory_of_shards
from pairdex.derived.lookups.keywords import KEYWORDS
from pairdex.derived.lookups.parts import make_files
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
from pairdex.ivf.costs import QueryKind, this_machine
from pairdex.ivf.efforts import (
    TUNED_K,
    Effort,
    OperatingPoints,
    check_recall,
    points_path,
    read_points,
    write_points,
)
from pairdex.ivf.file import IvfFile
from pairdex.ivf.parameters import DEFAULT_RECALL, IndexKind, Parameters, Size, choose
from pairdex.ivf.quantiser import trained_on
from pairdex.ivf.search import InvertedIndex, open_index
from pairdex.progress import Progress, at_step
from pairdex.store.manifest import is_sharded, read_manifest
from pairdex.store.ranged_vectors import RangedVectors
from pairdex.store.store import Store, VectorField
from pairdex.work.processors import usable_processors
from pairdex.work.sizes import ByteSize, parse_size

__all__ = ["find_index", "index", "ivf_path", "renew_graph", "renew_index"]


_log = logging.getLogger(__name__)


def ivf_path(collection: Path, on: VectorField) -> Path:
    """Return the path of a collection's inverted file, which may not exist."""
    return collection / "indexes" / on / "ivf"


def find_index(store: Store, on: VectorField) -> tuple[InvertedIndex, OperatingPoints] | None:
    """Open the index of the collection's vectors.

    Returns
    -------
    (InvertedIndex, OperatingPoints) or None
        None if there is no index, or the collection's metric is not the cosine. If the index is damaged
        or does not match the vectors, a warning is logged and the result is None too: searches are exact.
    """
    path = ivf_path(store.path, on)
    store.need(f"indexes/{on}/ivf", f"indexes/{on}/ivf.json")
    if store.metric != "cosine" or not path.exists():
        return None
    try:
        vectors, parts = store.vectors(on), part_checksums(store, on)
        if isinstance(vectors, RangedVectors) and not vectors.is_whole:
            return open_index(path, vectors.begun(), parts, need=vectors.need)
        return open_index(path, vectors.blocks, parts)
    except (DamagedFile, Mismatch, MissingFile, UnsupportedFormat) as error:
        _log.warning("searching exactly, without the index: %s", error)
        return None


@checked
def index(
    collection: StrPath,
    *,
    on: VectorField = "image",
    recall: float = DEFAULT_RECALL,
    memory: ByteSize | None = None,
    size: Size | None = None,
    nlist: int | None = None,
    kind: IndexKind = "lists",
    progress: Progress | None = None,
) -> IndexReport:
    """Build the approximate index of a collection, or add missing rows to it, and measure its recall.

    Each shard of a sharded collection gets an index of its own. The report then has the sums, and the least
    recall of all shards.

    Recall is measured against the exact search. The queries are rows that the index was not trained on
    and, if the collection has both kinds of vectors, vectors of the other kind. From then on searches use
    the index if it is cheaper. If a call is interrupted, the same call resumes it. It also indexes the
    words of captions, which searches for texts look up.

    Parameters
    ----------
    collection
        The path of the collection, or an opened one.
    on
        The vectors to index.
    recall
        The target recall@10 of searches that name none, 0 to 1.
    memory
        The memory limit of building and searching: `4GB`, or bytes. It decides the size, and whether
        the vectors stay on disk. None: no limit.
    size
        `fast` or `compact`, instead of the choice by `memory`.
    nlist
        The number of lists, instead of a number chosen from the rows.
    kind
        `lists`: small, for all queries, also with vectors on disk. `graph`: a graph beside the lists, in
        memory, many times as large: fastest for queries that are like the rows. `auto`: a graph
        of images if memory holds it.
    progress
        Called with the step, the rows done and the rows in total.

    Raises
    ------
    InvalidArgument
        The collection has no rows or no such vectors, a value is out of range, or the memory limit is
        too small.
    CollectionBusy
        Another process writes the collection.
    WriteFailed
        The index cannot be written.
    """
    folder = Path(collection)
    memory_bytes = None if memory is None else parse_size(memory)
    check_recall(recall)
    if size is not None:
        _check_choice(size, get_args(Size), "size")
    _check_choice(kind, get_args(IndexKind), "kind")
    if is_sharded(folder):
        one = partial(
            index, on=on, recall=recall, size=size, nlist=nlist, kind=kind, progress=progress
        )
        shares = memory_of_shards(folder, memory_bytes)
        return together([one(shard, memory=share) for shard, share in shares.items()])
    with _writing(folder, on) as store:
        graph_size = fitting_graph(store, on, kind, memory_bytes, size)
        size, on_disk = fitting_lists(store, memory_bytes, graph_size or size)
        parameters = choose(store.rows, store.dim, size=size, nlist=nlist)
        wish = _Wish(recall, size, on_disk, parameters, is_nlist_asked=nlist is not None)
        report = _make(store, on, wish, progress)
        if graph_size is not None:
            made = make_graph(store, on, recall=recall, size=graph_size, progress=progress)
            report = replace(report, graph=made)
    if KEYWORDS.column in store.schema.names:  # a text search looks its words up in the captions
        make_files(store, KEYWORDS, progress=at_step(progress, "indexing captions"))
    return report


def _check_choice(value: str, choices: tuple[str, ...], field: str) -> None:
    if value not in choices:
        raise InvalidArgument(
            f"{field} is {value!r}, expected one of {', '.join(choices)}", field=field
        )


def renew_index(
    collection: Path, on: VectorField, *, progress: Progress | None = None
) -> IndexReport:
    """Run `index` with the recall, size and memory setting of the existing index.

    Raises
    ------
    InvalidArgument, CollectionBusy, WriteFailed
        As `index`.
    """
    with _writing(collection, on) as store:
        return _make(store, on, _earlier_wish(store, on), progress)


def renew_graph(
    collection: Path, on: VectorField, *, progress: Progress | None = None
) -> GraphReport | None:
    """Build the graph again, unless it is current, with the recall and size of the existing one.

    Returns
    -------
    GraphReport or None
        None if no row has a direction.

    Raises
    ------
    InvalidArgument, CollectionBusy, WriteFailed
        As `index`.
    """
    with _writing(collection, on) as store:
        recall, size = earlier_settings(store, on)
        return make_graph(store, on, recall=recall, size=size, progress=progress)


@contextmanager
def _writing(collection: Path, on: VectorField) -> Iterator[Store]:
    """Lock the collection, and yield its newest version if it can be indexed."""
    manifest = read_manifest(collection)  # raises MissingFile before the lock file is made
    manifest.check_cosine(collection, "an index")
    with lock.writing(collection):
        store = Store(collection)
        store.check_kind(on)
        if store.rows == 0:
            raise InvalidArgument(f"{collection} has no rows to index")
        yield store


@dataclass(frozen=True)
class _Wish:
    """The settings of an index."""

    recall: float
    size: Size
    on_disk: bool
    parameters: Parameters
    is_nlist_asked: bool


def _earlier_wish(store: Store, on: VectorField) -> _Wish:
    """Return the settings of the existing index; the defaults if it is missing or damaged."""
    path = ivf_path(store.path, on)
    sizes: tuple[Size, ...] = get_args(Size)
    fast = choose(store.rows, store.dim)
    try:
        file = IvfFile(path)
    except (MissingFile, DamagedFile, UnsupportedFormat):
        return _Wish(DEFAULT_RECALL, "fast", False, fast, is_nlist_asked=False)
    chosen = {size: choose(store.rows, store.dim, size=size) for size in sizes}
    size: Size = next((one for one in sizes if chosen[one].coded == file.header.coded), "fast")
    points = known_points(file, read_points)
    recall, on_disk = (DEFAULT_RECALL, False) if points is None else (points.recall, points.on_disk)
    return _Wish(recall, size, on_disk, chosen[size], is_nlist_asked=False)


def _make(store: Store, on: VectorField, wish: _Wish, progress: Progress | None) -> IndexReport:
    started = time.perf_counter()
    path = ivf_path(store.path, on)
    atomic.make_folder(path.parent)
    rows = _rows(store, on)
    earlier = _earlier_points(path)
    how = _build_or_extend(path, rows, wish, progress)
    file = IvfFile(path)
    points = known_points(file, read_points) if how == "unchanged" else None
    if points is None or (points.recall, points.on_disk) != (wish.recall, wish.on_disk):
        efforts, counts = _measured(
            store, on, InvertedIndex(file, rows.blocks, on_disk=wish.on_disk), progress
        )
        seconds = _build_seconds(how, earlier, time.perf_counter() - started)
        points = OperatingPoints(wish.recall, efforts, counts, file.seal, wish.on_disk, seconds)
    if points.costs is None or points.costs.machine != this_machine():
        opened = InvertedIndex(file, rows.blocks, on_disk=wish.on_disk)
        points = replace(points, costs=costs_of(store, on, opened, points.efforts))
        write_points(points_path(path), points)
    found: dict[VectorField, Effort | None] = {
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


def _build_or_extend(path: Path, rows: Rows, wish: _Wish, progress: Progress | None) -> Built:
    old, parameters = whole_file(path, IvfFile, "index"), wish.parameters
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


def _earlier_points(path: Path) -> OperatingPoints | None:
    try:
        return known_points(IvfFile(path), read_points)
    except (MissingFile, DamagedFile, UnsupportedFormat):
        return None


def _build_seconds(how: Built, earlier: OperatingPoints | None, seconds: float) -> float | None:
    """Return the time of the build and of all extensions; None if an earlier one is not recorded."""
    if how == "built":
        return seconds
    if earlier is None or earlier.build_seconds is None:
        return None
    return earlier.build_seconds + seconds if how == "extended" else earlier.build_seconds


def _measured(
    store: Store, on: VectorField, index: InvertedIndex, progress: Progress | None
) -> tuple[dict[QueryKind, dict[int, list[Effort]]], dict[QueryKind, int]]:
    """Measure an index with its own rows and with vectors of the other kind as queries.

    Return the efforts and the number of queries, by kind of query.
    """
    blocks, header = store.vectors(on).blocks, index.file.header
    live, codes = store.allowed(), find_own_codes(store, on)
    efforts: dict[QueryKind, dict[int, list[Effort]]] = {"own": {}, "other": {}}
    counts: dict[QueryKind, int] = {"own": 0, "other": 0}
    kinds: list[tuple[QueryKind, VectorField]] = [("own", on), ("other", _other(on))]
    for kind, vectors in kinds:
        if vectors not in store.manifest.vectors:
            continue
        step = at_step(progress, f"measuring on {vectors} queries")
        eligible = np.ones(store.rows, np.bool_) if live is None else live.copy()
        if kind == "own":  # training rows find their list too easily
            eligible[trained_on(header.trained_rows, header.nlist, header.seed)] = False
        queries, ids = tune.draw_queries(
            store.vectors(vectors).blocks, seed=header.seed, may=eligible
        )
        # Neither a row nor a text counts its own row, which a held-out query does not have.
        truth = tune.find_truth(blocks, queries, ids, codes=codes, allowed=live)
        efforts[kind] = tune.measure(index, truth, kind, allowed=live, progress=step)
        counts[kind] = len(queries)
    return efforts, counts


def _rows(store: Store, on: VectorField) -> Rows:
    other = _other(on)
    others = store.vectors(other).blocks if other in store.manifest.vectors else ()
    return Rows(store.vectors(on).blocks, part_checksums(store, on), others)


def _other(on: VectorField) -> VectorField:
    return "text" if on == "image" else "image"
