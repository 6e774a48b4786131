"""Operating points: the effort of a search for each recall, measured when the index was built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

from pairdex.errors import InvalidArgument, MissingFile
from pairdex.files import atomic
from pairdex.files.boundary import reading
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import typed
from pairdex.ivf.costs import Costs, QueryKind
from pairdex.ivf.file import REMEDY
from pairdex.ivf.parameters import MAX_RECALL, MIN_RECALL

__all__ = [
    "TUNED_K",
    "AnyEffort",
    "Effort",
    "OperatingPoints",
    "QueryKind",
    "check_recall",
    "least_promising",
    "points_path",
    "read_points",
    "read_sealed_points",
    "write_points",
]

TUNED_K = (10, 30, 100)  # a search uses the smallest tuned k that is at least its own
_KIND, _VERSION = "pairdex-operating-points", 1


@dataclass(frozen=True)
class Effort:
    """How much a search does for one query.

    Attributes
    ----------
    nprobe
        Number of lists that are scanned.
    rerank
        Number of their rows that are compared as stored.
    spread_weight
        Weight of a list's spread, added to the score of its centroid.
    recall
        Measured recall@k; nan if not measured.
    low
        The lower bound of recall@k at 95 % confidence, one-sided; nan if it was not computed (older
        files).
    queries
        Number of queries that measured both.
    qps
        Measured queries per second, for many queries on all processors.
    """

    nprobe: int
    rerank: int
    spread_weight: float
    recall: float = float("nan")
    qps: float = float("nan")
    low: float = float("nan")
    queries: int = 0

    @property
    def promised(self) -> float:
        """The recall that the effort promises: its lower bound, or what was measured without one."""
        return self.recall if math.isnan(self.low) else self.low

    def does_as_much_as(self, other: Effort) -> bool:
        """Return whether both search alike, whatever was measured."""
        settings = (self.nprobe, self.rerank, self.spread_weight)
        return settings == (other.nprobe, other.rerank, other.spread_weight)


@dataclass(frozen=True)
class OperatingPoints:
    """The operating points of an index.

    Attributes
    ----------
    recall
        Target recall of a search that names none.
    efforts
        By kind of query and k, by ascending recall; empty if there were no queries to measure with.
    queries
        Number of queries of each kind that were used to measure.
    of
        The `seal` of the index file that they belong to.
    on_disk
        True if the vectors stay on disk: rows are read when they are compared.
    build_seconds
        The time to build and measure the index, with all later extensions; None if it is not known.
    costs
        What searches cost on the machine that measured the index; None in older files.
    """

    recall: float
    efforts: dict[QueryKind, dict[int, list[Effort]]]
    queries: dict[QueryKind, int]
    of: str
    on_disk: bool = False
    build_seconds: float | None = None
    costs: Costs | None = None

    def pick(self, kind: QueryKind, k: int, recall: float) -> Effort | None:
        """Return the least effort that promises a recall.

        Returns
        -------
        Effort or None
            None if no effort is known to reach it for k neighbours.
        """
        return least_promising(self.efforts[kind], k, recall)


class _Promising(Protocol):
    @property
    def promised(self) -> float: ...


AnyEffort = TypeVar("AnyEffort", bound=_Promising)
AnyPoints = TypeVar("AnyPoints")


def least_promising(
    efforts: Mapping[int, Sequence[AnyEffort]], k: int, recall: float
) -> AnyEffort | None:
    """Return the first effort for k neighbours that promises a recall; None if none is known to.

    Parameters
    ----------
    efforts
        By tuned k, by ascending recall.
    """
    for tuned in TUNED_K:
        if k <= tuned and tuned in efforts:
            return next((one for one in efforts[tuned] if one.promised >= recall), None)
    return None


def check_recall(recall: float) -> None:
    """Raise InvalidArgument unless an index supports this recall."""
    if not MIN_RECALL <= recall <= MAX_RECALL:
        raise InvalidArgument(
            f"the recall is {recall:g}, expected {MIN_RECALL:g} to {MAX_RECALL:g}; "
            "to find all neighbours, search exactly",
            field="recall",
        )


def points_path(path: Path) -> Path:
    """Return the path of the operating points of an index."""
    return path.with_name(f"{path.name}.json")


def write_points(path: Path, points: OperatingPoints) -> None:
    """Write operating points beside their index."""
    efforts = {
        kind: {str(k): [asdict(one) for one in some] for k, some in by_k.items()}
        for kind, by_k in points.efforts.items()
    }
    costs = None if points.costs is None else asdict(points.costs)
    content = {"format": _KIND, "version": _VERSION, **vars(points)}
    content |= {"efforts": efforts, "costs": costs}
    atomic.write_bytes(path, sealed(content))


def read_points(path: Path) -> OperatingPoints:
    """Read operating points.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        Missing; damaged; a foreign file.
    """
    return read_sealed_points(path, _points, kind=_KIND, version=_VERSION)


def read_sealed_points(
    path: Path, parse: Callable[[dict[str, Any]], AnyPoints], *, kind: str, version: int
) -> AnyPoints:
    """Read operating points of a kind of index: `parse` takes the content of the sealed file.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        Missing; damaged; a foreign file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist: {REMEDY}") from error
    content = read_sealed(data, path, kind=kind, version=version, remedy=REMEDY)
    with reading(path, advice=REMEDY):
        return parse(content)


def _points(content: dict[str, Any]) -> OperatingPoints:
    by_kind = typed(dict[str, dict[str, list[Effort]]], content["efforts"], "efforts")
    kinds: tuple[QueryKind, ...] = get_args(QueryKind)
    efforts = {kind: {int(k): some for k, some in by_kind[kind].items()} for kind in kinds}
    queries = typed(dict[str, int], content["queries"], "queries")
    seconds = content.get("build_seconds")  # older files lack both
    costs = content.get("costs")
    return OperatingPoints(
        typed(float, content["recall"], "recall"),
        efforts,
        {kind: queries[kind] for kind in kinds},
        typed(str, content["of"], "of"),
        typed(bool, content["on_disk"], "on_disk"),
        None if seconds is None else typed(float, seconds, "build_seconds"),
        None if costs is None else typed(Costs, costs, "costs"),
    )
