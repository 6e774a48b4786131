"""Search for blocks of queries on the nodes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.cosine import Answered, Neighbours, Report, total_counts
from pairdex.knn.ways import Choice
from pairdex.progress import Meter, Progress, at_step
from pairdex.search.options import SearchOptions
from pairdex.search.planner import GRAPH, INDEX
from pairdex.store.manifest import MANIFEST
from pairdex.work.executors import Advance, do_all, executor_for
from pairdex.work.reopened import Reopened

__all__ = ["check_on_folder", "joined_reports", "nearest_on_cluster"]

_TASK_BYTES = 1 << 30  # of one block: queries, neighbours, libraries; not mapped files
_QUERY_BLOCK = 1_000
_BLOCK_NEIGHBOURS = 10_000_000  # neighbours per block: 160 MB for any k


def check_on_folder(collection: Collection) -> None:
    """Raise InvalidArgument if the collection was opened at an address, which nodes would fetch again."""
    if collection.finder.store.published is not None:
        raise InvalidArgument(
            f"{collection.path} is a cache of a published collection, which nodes do not share: pull it to a "
            "folder that they see",
            field="cluster",
        )


def nearest_on_cluster(
    cluster: str,
    collection: Collection,
    vectors: NDArray[Any],
    options: SearchOptions,
    *,
    progress: Progress | None = None,
) -> Neighbours:
    """Return the k nearest rows of each vector (n, dim), as `Collection.nearest`.

    Exact answers are the same. With an index, each block of queries goes the way that is cheapest for it.

    Raises
    ------
    MissingExtra, ClusterFailed, Mismatch
        As `executor_for`; the collection has changed.
    """
    path, use_codes = collection.path.resolve(), collection.finder.use_codes
    source = Reopened(_open_same, (path, collection.checksum, use_codes), collection)
    step = max(1, min(_QUERY_BLOCK, _BLOCK_NEIGHBOURS // options.k))
    blocks = [
        _Block(source, options, vectors[first : first + step])
        for first in range(0, len(vectors), step)
    ]
    meter = Meter(len(vectors), at_step(progress, "searching"))
    with executor_for(cluster=cluster, folders=(path,), witness=path / MANIFEST) as executor:
        sizes = [len(block.queries) for block in blocks]
        found = do_all(executor, _find, blocks, sizes, meter.advance, memory_bytes=_TASK_BYTES)
    if not found:
        return collection.finder.nearest(vectors, options)
    ids, distances = zip(*((one.ids, one.distances) for one in found), strict=True)
    report = joined_reports([one.report for one in found], sizes)
    return Neighbours(np.concatenate(ids), np.concatenate(distances), report)


@dataclass(frozen=True, eq=False)
class _Block:
    source: Reopened[Collection]
    options: SearchOptions
    queries: NDArray[Any]


def _open_same(path: Path, checksum: str, use_codes: bool) -> Collection:
    collection = Collection.open(path, use_codes=use_codes)
    if collection.checksum != checksum:
        raise Mismatch(f"rows of {path} have changed meanwhile: run the same command again")
    return collection


def _find(block: _Block, advance: Advance | None) -> Neighbours:
    found = block.source.get().finder.nearest(block.queries, block.options)
    if advance:
        advance(len(block.queries))
    return found


def joined_reports(reports: Sequence[Report], sizes: Sequence[int]) -> Report:
    """Return the report of blocks of queries as one batch, from theirs in order and their sizes."""
    recalls = [report.recall for report in reports if report.recall is not None]
    return Report(
        *total_counts(reports),
        certified=all(report.certified for report in reports),
        exact=all(report.exact for report in reports),
        recall=min(recalls, default=None),
        answered=_joined([report.answered for report in reports], sizes),
    )


def _joined(answered: Sequence[Answered], sizes: Sequence[int]) -> Answered:
    firsts = np.cumsum([0, *sizes[:-1]]).tolist()
    choices = _choices(answered, firsts)
    by_index = [one for one in answered if one.by in (GRAPH, INDEX)]
    if not by_index:
        return replace(answered[0], choices=choices)
    by = GRAPH if any(one.by == GRAPH for one in by_index) else INDEX
    exactly: list[int] = []
    by_lists: list[int] = []
    for one, first, size in zip(answered, firsts, sizes, strict=True):
        others = range(size) if one.by not in (GRAPH, INDEX) else one.exactly
        exactly += (first + place for place in others)
        lists = set(range(size)) - {*others} if by == GRAPH and one.by == INDEX else one.by_lists
        by_lists += (first + place for place in sorted(lists))
    promised = [one.promised for one in by_index if one.promised is not None]
    return replace(
        by_index[0],
        by=by,
        params="; ".join(dict.fromkeys(one.params for one in by_index)),
        promised=min(promised, default=None),
        measured_on=min(one.measured_on for one in by_index),
        exactly=tuple(exactly),
        by_lists=tuple(by_lists),
        choices=choices,
    )


def _choices(answered: Sequence[Answered], firsts: Sequence[int]) -> tuple[Choice, ...]:
    """Return one choice for each kind and way, with the costs of its first block."""
    kept: dict[tuple[str, str], list[Choice]] = {}
    for one, first in zip(answered, firsts, strict=True):
        for choice in one.choices:
            moved = replace(choice, positions=choice.positions + first)
            kept.setdefault((choice.kind, choice.taken), []).append(moved)
    return tuple(
        replace(same[0], positions=np.concatenate([one.positions for one in same]))
        for same in kept.values()
    )
