"""Operating points of a graph: the effort of a search for each recall, and what it costs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pairdex.files import atomic
from pairdex.files.sealed_json import sealed
from pairdex.files.typed_json import typed
from pairdex.ivf.costs import between
from pairdex.ivf.efforts import least_promising, read_sealed_points

__all__ = [
    "GraphCosts",
    "GraphEffort",
    "GraphPoints",
    "WalkCost",
    "compared_rows",
    "read_points",
    "write_points",
]

_KIND, _VERSION = "pairdex-graph-points", 1
_COMPARED = 1.4  # rows that are compared as stored, for each neighbour: more find no more


@dataclass(frozen=True)
class GraphEffort:
    """How much a walk does for one query.

    Attributes
    ----------
    visits
        Number of the best nodes that are visited.
    recall, low
        Measured recall@k, and its lower bound at 95 % confidence, one-sided; nan if not measured.
    qps
        Measured queries per second, for many queries on all processors.
    queries
        Number of queries that measured them.
    """

    visits: int
    recall: float = float("nan")
    low: float = float("nan")
    qps: float = float("nan")
    queries: int = 0

    @property
    def promised(self) -> float:
        """The recall that the effort promises: its lower bound."""
        return self.recall if math.isnan(self.low) else self.low


@dataclass(frozen=True)
class WalkCost:
    """The time of one query of a batch of this many queries, in ns: before the walk, and for each visit.

    `filtered` is for each visit where a filter is looked at.
    """

    queries: int
    fixed: float
    visit: float
    filtered: float


@dataclass(frozen=True)
class GraphCosts:
    """The costs of searches by a graph on one machine, by ascending size of the batch."""

    machine: str
    batches: tuple[WalkCost, ...]

    def of(self, queries: int, visits: float, *, is_filtered: bool) -> float | None:
        """Return the expected time of one query of a batch, in ns; None if nothing was measured."""

        def time(batch: WalkCost) -> float:
            return batch.fixed + visits * (batch.filtered if is_filtered else batch.visit)

        return between(self.batches, queries, time)


@dataclass(frozen=True)
class GraphPoints:
    """The operating points of a graph.

    Attributes
    ----------
    recall
        Target recall of a search that names none.
    efforts
        By k, by ascending recall.
    of
        The `seal` of the graph that they belong to.
    build_seconds
        The time to build and measure the graph.
    costs
        What searches cost on the machine that measured them.
    """

    recall: float
    efforts: dict[int, list[GraphEffort]]
    of: str
    build_seconds: float
    costs: GraphCosts

    def pick(self, k: int, recall: float) -> GraphEffort | None:
        """Return the least effort that promises a recall; None if none is known to reach it."""
        return least_promising(self.efforts, k, recall)


def compared_rows(k: int) -> int:
    """Return how many rows are compared as stored."""
    return math.ceil(_COMPARED * k)


def write_points(path: Path, points: GraphPoints) -> None:
    """Write operating points beside their graph."""
    efforts = {str(k): [asdict(one) for one in some] for k, some in points.efforts.items()}
    content = {"format": _KIND, "version": _VERSION, **vars(points)}
    content |= {"efforts": efforts, "costs": asdict(points.costs)}
    atomic.write_bytes(path, sealed(content))


def read_points(path: Path) -> GraphPoints:
    """Read operating points.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        Missing; damaged; a foreign file.
    """
    return read_sealed_points(path, _points, kind=_KIND, version=_VERSION)


def _points(content: dict[str, Any]) -> GraphPoints:
    efforts = typed(dict[str, list[GraphEffort]], content["efforts"], "efforts")
    return GraphPoints(
        typed(float, content["recall"], "recall"),
        {int(k): some for k, some in efforts.items()},
        typed(str, content["of"], "of"),
        typed(float, content["build_seconds"], "build_seconds"),
        typed(GraphCosts, content["costs"], "costs"),
    )
