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
from pairdex.graph_index.build import build
from pairdex.graph_index.efforts import (
    GraphCosts,
    GraphEffort,
    GraphPoints,
    read_points,
    write_points,
)
from pairdex.graph_index.file import GraphFile
from pairdex.graph_index.parameters import Parameters, choose
from pairdex.graph_index.search import WalkedGraph, open_graph
from pairdex.graph_index.tune import measure_costs, measure_efforts
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
        `built` or `unchanged`.
    effort
        The operating point at the target recall with k = 10; None if it is not reached.
    """

    bytes: int
    seconds: float
    degree: int
    how: str
    effort: GraphEffort | None


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
        return open_graph(path, store.vectors(on).blocks, part_checksums(store, on))
    except (DamagedFile, Mismatch, MissingFile, UnsupportedFormat) as error:
        _log.warning("searching without the graph: %s", error)
        return None


def make_graph(
    store: Store, on: VectorField, *, recall: float, size: Size, progress: Progress | None
) -> GraphReport | None:
    """Build the graph unless it is current, and measure it. The caller holds the lock.

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
    blocks, how = store.vectors(on).blocks, "unchanged"
    if not _is_current(store, on, parameters):
        atomic.make_folder(path.parent)
        step = at_step(progress, "building the graph")
        threads = usable_processors()
        parts = part_checksums(store, on)
        if not build(blocks, parts, path, parameters, threads=threads, progress=step):
            return None
        how = "built"
    graph = WalkedGraph(GraphFile(path), blocks)
    known = known_points(graph.file, read_points) if how == "unchanged" else None
    points = known
    if points is None:
        points = _measured(store, on, graph, recall, progress)
        points = replace(points, build_seconds=time.perf_counter() - started)
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
    )


def walk_costs(store: Store, on: VectorField, graph: WalkedGraph, *, rounds: int = 3) -> GraphCosts:
    """Measure what walks cost on this machine, with rows of the collection as queries."""
    queries = costed_queries(store.vectors(on).blocks, store.rows, graph.file.header.seed)
    return measure_costs(graph, queries, rounds=rounds)


def _measured(
    store: Store, on: VectorField, graph: WalkedGraph, recall: float, progress: Progress | None
) -> GraphPoints:
    blocks, live = store.vectors(on).blocks, store.allowed()
    eligible = np.ones(store.rows, np.bool_) if live is None else live
    queries, ids = tune.draw_queries(blocks, seed=graph.file.header.seed, may=eligible)
    truth = tune.find_truth(blocks, queries, ids, codes=find_own_codes(store, on), allowed=live)
    step = at_step(progress, "measuring the graph")
    efforts = measure_efforts(graph, truth, allowed=live, progress=step)
    costs = walk_costs(store, on, graph)
    return GraphPoints(recall, efforts, graph.file.seal, 0.0, costs)


def _is_current(store: Store, on: VectorField, parameters: Parameters) -> bool:
    """Return whether the graph is whole, of these rows, and has these parameters."""
    file = whole_file(graph_path(store.path, on), GraphFile, "graph")
    if file is None or file.header.parts != part_checksums(store, on):
        return False
    return (file.header.degree, file.header.seed) == (parameters.degree, parameters.seed)


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
