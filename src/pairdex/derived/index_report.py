"""What building an index reports, for one collection or for all shards of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pairdex.derived.graph import GraphReport
from pairdex.ivf.efforts import AnyEffort, Effort
from pairdex.ivf.parameters import Size
from pairdex.store.store import VectorField

__all__ = ["Built", "IndexReport", "together"]

Built = str


@dataclass(frozen=True)
class IndexReport:
    """The properties of an index and the recall that it reaches.

    Attributes
    ----------
    rows, bytes
        The number of indexed rows, and the size of the file.
    seconds
        The time to build and measure the index.
    size, nlist
        `fast` or `compact`, and the number of lists.
    how
        `built`, `extended` (rows were added) or `unchanged`.
    on_disk
        Whether searches read the vectors from disk.
    asked
        The target recall@10 of searches that name none.
    efforts
        For image and for text queries, the operating point at that recall with k = 10; None if it was
        not measured.
    graph
        The graph that was made beside the lists; None if there is none.
    """

    rows: int
    bytes: int
    seconds: float
    size: Size
    nlist: int
    how: Built
    on_disk: bool
    asked: float
    efforts: dict[VectorField, Effort | None]
    graph: GraphReport | None = None


def together(reports: Sequence[IndexReport]) -> IndexReport:
    """Return the report of the indexes of all shards: sums, and the least recall."""
    kinds = reports[0].efforts
    ways = list(dict.fromkeys(report.how for report in reports))
    return IndexReport(
        rows=sum(report.rows for report in reports),
        bytes=sum(report.bytes for report in reports),
        seconds=sum(report.seconds for report in reports),
        size="compact" if any(report.size == "compact" for report in reports) else "fast",
        nlist=sum(report.nlist for report in reports),
        how=ways[0] if len(ways) == 1 else "extended",
        on_disk=any(report.on_disk for report in reports),
        asked=reports[0].asked,
        efforts={kind: _least([report.efforts[kind] for report in reports]) for kind in kinds},
        graph=_graphs_together([report.graph for report in reports]),
    )


def _graphs_together(graphs: Sequence[GraphReport | None]) -> GraphReport | None:
    """Return the report of the graphs of all shards; None if a shard has none."""
    known = [graph for graph in graphs if graph is not None]
    if len(known) < len(graphs):
        return None
    ways = list(dict.fromkeys(graph.how for graph in known))
    return GraphReport(
        bytes=sum(graph.bytes for graph in known),
        seconds=sum(graph.seconds for graph in known),
        degree=min(graph.degree for graph in known),
        how=ways[0] if len(ways) == 1 else "extended",
        effort=_least([graph.effort for graph in known]),
        rebuild=any(graph.rebuild for graph in known),
    )


def _least(efforts: Sequence[AnyEffort | None]) -> AnyEffort | None:
    """Return the effort of the least recall; None if a shard has none."""
    known = [effort for effort in efforts if effort is not None]
    return min(known, key=lambda one: one.promised) if len(known) == len(efforts) else None
