"""The graph of a collection: built, measured and opened.

`indexes/<image|text>/graph` may be deleted at any time; searches then go by the lists, which lie beside it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from pairdex.derived.codes import find_own_codes
from pairdex.derived.index_costs import costed_queries
from pairdex.derived.index_files import known_points, part_checksums, whole_file
from pairdex.errors import DamagedFile, Mismatch, MissingFile, UnsupportedFormat
from pairdex.files import atomic
from pairdex.graph_index.assembly import Indexed
from pairdex.graph_index.build import build
from pairdex.graph_index.efforts import (
    GraphCosts,
    GraphEffort,
    GraphPoints,
    read_points,
    write_points,
)
from pairdex.graph_index.file import NO_NODE, GraphFile, Header
from pairdex.graph_index.insert import begins_with, can_insert, insert
from pairdex.graph_index.parameters import Parameters, choose
from pairdex.graph_index.search import WalkedGraph, open_graph
from pairdex.graph_index.tune import held_out_count, measure_costs, measure_efforts
from pairdex.ivf import tune
from pairdex.ivf.costs import this_machine
from pairdex.ivf.efforts import TUNED_K, points_path
from pairdex.ivf.parameters import DEFAULT_RECALL, Size
from pairdex.progress import Progress, at_step
from pairdex.store.store import Store, VectorField
from pairdex.work.processors import usable_processors

__all__ = [
    "GraphReport",
    "earlier_settings",
    "find_graph",
    "graph_path",
    "make_graph",
    "walk_costs",
    "wants_rebuild",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GraphReport:
    """The properties of a graph and the recall that it reaches.

    Attributes
    ----------
    bytes
        The size of the file.
    seconds
        The time of this call.
    degree
        The number of neighbours of a node.
    how
        `built`, `extended` (rows were inserted) or `unchanged`.
    effort
        The operating point at the target recall with k = 10; None if it is not reached.
    rebuild
        Whether a build from scratch is advisable: a third of the rows was inserted or removed since.
    """

    bytes: int
    seconds: float
    degree: int
    how: str
    effort: GraphEffort | None
    rebuild: bool = False


def graph_path(collection: Path, on: VectorField) -> Path:
    """Return the path of a collection's graph, which may not exist."""
    return collection / "indexes" / on / "graph"


def find_graph(store: Store, on: VectorField) -> tuple[WalkedGraph, GraphPoints] | None:
    """Open the graph of the collection's vectors.

    Returns
    -------
    (WalkedGraph, GraphPoints) or None
        None if there is no graph. If it is damaged or does not match the vectors, a warning is logged and
        the result is None too.
    """
    path = graph_path(store.path, on)
    if not path.exists():
        return None
    try:
        blocks, parts = store.vectors(on).blocks, part_checksums(store, on)
        return open_graph(path, blocks, parts, store.allowed())
    except (DamagedFile, Mismatch, MissingFile, UnsupportedFormat) as error:
        _log.warning("searching without the graph: %s", error)
        return None


def make_graph(
    store: Store, on: VectorField, *, recall: float, size: Size, progress: Progress | None
) -> GraphReport | None:
    """Build the graph, or insert missing rows into it, and measure it. The caller holds the lock.

    Returns
    -------
    GraphReport or None
        None if no row has a direction.

    Raises
    ------
    InvalidArgument
        Too many dimensions or rows.
    WriteFailed
        It cannot be written.
    """
    started, path = time.perf_counter(), graph_path(store.path, on)
    parameters = choose(store.rows, store.dim, size=size)
    earlier = _build_seconds(path)
    how = _build_or_insert(store, on, path, parameters, progress)
    if how is None:
        return None
    graph = WalkedGraph(GraphFile(path), store.vectors(on).blocks)
    known = known_points(graph.file, read_points) if how == "unchanged" else None
    points = known
    if points is None:
        points = _measured(store, on, graph, recall, progress)
        seconds = time.perf_counter() - started
        points = replace(points, build_seconds=seconds + (earlier if how != "built" else 0.0))
    elif points.costs.machine != this_machine():
        points = replace(points, costs=walk_costs(store, on, graph))
    points = replace(points, recall=recall)
    if points != known:
        write_points(points_path(path), points)
    return GraphReport(
        bytes=path.stat().st_size,
        seconds=time.perf_counter() - started,
        degree=parameters.degree,
        how=how,
        effort=points.pick(TUNED_K[0], recall),
        rebuild=wants_rebuild(store, graph.file.header),
    )


def wants_rebuild(store: Store, header: Header) -> bool:
    """Return whether a third of the rows of a graph was inserted or removed since it was built."""
    removed = store.rows - store.live_rows - header.left_out
    return header.inserted + removed >= (header.rows - header.left_out) / 3


def _build_or_insert(
    store: Store, on: VectorField, path: Path, parameters: Parameters, progress: Progress | None
) -> str | None:
    """Bring the file up to date; return what was done, None if no row has a direction."""
    live = store.allowed()
    removed = np.empty(0) if live is None else np.flatnonzero(~live)
    blocks, parts = list(store.vectors(on).blocks), part_checksums(store, on)
    rows = Indexed(blocks, parts, removed.astype(np.uint32))
    old, threads = whole_file(path, GraphFile, "graph"), usable_processors()
    if old is not None and begins_with(rows, old, parameters) and old.header.parts == parts:
        return "unchanged"
    atomic.make_folder(path.parent)
    if old is not None and can_insert(old, rows, parameters):
        step = at_step(progress, "inserting into the graph")
        insert(old, rows, path, parameters, threads=threads, progress=step)
        return "extended"
    step = at_step(progress, "building the graph")
    return "built" if build(rows, path, parameters, threads=threads, progress=step) else None


def _build_seconds(path: Path) -> float:
    """Return the time of the build and of all insertions; 0 if there is no whole graph."""
    try:
        points = known_points(GraphFile(path), read_points)
    except (MissingFile, DamagedFile, UnsupportedFormat):
        return 0.0
    return 0.0 if points is None else points.build_seconds


def walk_costs(store: Store, on: VectorField, graph: WalkedGraph, *, rounds: int = 3) -> GraphCosts:
    """Measure what walks cost on this machine, with rows of the collection as queries."""
    queries = costed_queries(store.vectors(on).blocks, store.rows, graph.file.header.seed)
    return measure_costs(graph, queries, rounds=rounds)


def _measured(
    store: Store, on: VectorField, graph: WalkedGraph, recall: float, progress: Progress | None
) -> GraphPoints:
    blocks, live = store.vectors(on).blocks, store.allowed()
    eligible = np.ones(store.rows, np.bool_) if live is None else live.copy()
    count = held_out_count(int(np.count_nonzero(eligible)))
    queries, ids = tune.draw_queries(blocks, seed=graph.file.header.seed, may=eligible, count=count)
    nodes = graph.nodes_of(ids)
    has_node = nodes != NO_NODE  # a row that shares its node would also be found without it
    eligible[ids[has_node]] = False
    codes = find_own_codes(store, on)
    truth = tune.find_truth(blocks, queries, ids, codes=codes, allowed=eligible)
    step = at_step(progress, "measuring the graph")
    without = graph.without(nodes[has_node])
    efforts = measure_efforts(without, truth, allowed=live, progress=step)
    costs = walk_costs(store, on, graph)
    return GraphPoints(recall, efforts, graph.file.seal, 0.0, costs)


def earlier_settings(store: Store, on: VectorField) -> tuple[float, Size]:
    """Return the recall and size of the existing graph; the defaults if it is missing or damaged."""
    path = graph_path(store.path, on)
    sizes: tuple[Size, ...] = get_args(Size)
    try:
        header = GraphFile(path).header
        recall = read_points(points_path(path)).recall
    except (MissingFile, DamagedFile, UnsupportedFormat):
        return DEFAULT_RECALL, "fast"
    degrees = {choose(header.rows, header.dim, size=size).degree: size for size in sizes}
    return recall, degrees[header.degree]
