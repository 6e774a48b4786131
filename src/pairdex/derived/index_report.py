"""What building an index reports, for one collection or for all shards of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pairdex.derived.graph import GraphReport
from pairdex.errors import InvalidArgument
from pairdex.ivf.efforts import Effort
from pairdex.ivf.parameters import Size
from pairdex.store.shard_list import read_shard_list
from pairdex.store.store import VectorField

__all__ = ["Built", "IndexReport", "memory_of_shards", "together"]

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


def memory_of_shards(folder: Path, memory_bytes: int | None) -> dict[Path, int | None]:
    """Return the folders of the shards that have rows, and the memory of each: its share by rows.

    Raises
    ------
    InvalidArgument
        No shard has rows.
    """
    shards = [shard for shard in read_shard_list(folder).shards if shard.rows]
    if not shards:
        raise InvalidArgument(f"{folder} has no rows to index")
    rows = sum(shard.rows for shard in shards)
    return {
        folder / shard.path: None if memory_bytes is None else memory_bytes * shard.rows // rows
        for shard in shards
    }


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
    efforts = [graph.effort for graph in known if graph.effort is not None]
    return GraphReport(
        bytes=sum(graph.bytes for graph in known),
        seconds=sum(graph.seconds for graph in known),
        degree=min(graph.degree for graph in known),
        how="built" if any(graph.how == "built" for graph in known) else "unchanged",
        effort=min(efforts, key=lambda one: one.promised) if len(efforts) == len(known) else None,
    )


def _least(efforts: Sequence[Effort | None]) -> Effort | None:
    """Return the effort of the least recall; None if a shard is searched exactly."""
    known = [effort for effort in efforts if effort is not None]
    return min(known, key=lambda one: one.promised) if len(known) == len(efforts) else None
