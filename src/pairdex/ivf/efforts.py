"""How much a search does: operating points, measured when the index was built, one for each recall."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pairdex.errors import InvalidArgument, MissingFile
from pairdex.files import atomic
from pairdex.files.boundary import reading
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import typed
from pairdex.ivf.file import REMEDY
from pairdex.ivf.parameters import MAX_RECALL, MIN_RECALL

__all__ = [
    "TUNED_K",
    "Effort",
    "Points",
    "QueryKind",
    "check_recall",
    "read_points",
    "write_points",
]

QueryKind = Literal[
    "own", "other"
]  # like the rows; of the other kind of vectors: texts among images

TUNED_K = (10, 30, 100)  # the points of the smallest that is no less than a search's k are used
_KIND, _VERSION = "pairdex-operating-points", 1


@dataclass(frozen=True)
class Effort:
    """What is done for one query.

    Attributes
    ----------
    nprobe
        Lists that are scanned.
    rerank
        Rows of them that are compared as they are stored.
    spread_weight
        What a list's spread counts beside the score of its centroid.
    recall
        recall@k that was measured with it; nan where nothing was.
    qps
        Queries a second that were measured with it, all processors at work on many queries.
    """

    nprobe: int
    rerank: int
    spread_weight: float
    recall: float = float("nan")
    qps: float = float("nan")


@dataclass(frozen=True)
class Points:
    """The operating points of an index.

    Attributes
    ----------
    recall
        What is asked where a search asks for none.
    efforts
        By kind of query and k, by rising recall; empty where there was nothing to measure with.
    queries
        How many queries of each kind they were measured with.
    of
        The checksum of the header of the file that they are of.
    on_disk
        Whether the vectors are left on disk: their rows are read when they are compared.
    """

    recall: float
    efforts: dict[QueryKind, dict[int, list[Effort]]]
    queries: dict[QueryKind, int]
    of: str
    on_disk: bool = False

    def pick(self, kind: QueryKind, k: int, recall: float) -> Effort | None:
        """Return the least effort that was measured to reach a recall.

        Returns
        -------
        Effort or None
            None where no effort is known to reach it for so many neighbours.
        """
        for tuned in TUNED_K:
            if k <= tuned and tuned in self.efforts[kind]:
                points = self.efforts[kind][tuned]
                return next((one for one in points if one.recall >= recall), None)
        return None


def check_recall(recall: float) -> None:
    """Raise InvalidArgument unless an index can be asked for this recall."""
    if not MIN_RECALL <= recall <= MAX_RECALL:
        raise InvalidArgument(
            f"the recall is {recall:g}, expected {MIN_RECALL:g} to {MAX_RECALL:g}; "
            "for all of it, search exactly",
            field="recall",
        )


def write_points(path: Path, points: Points) -> None:
    """Write operating points beside their index."""
    efforts = {
        kind: {str(k): [asdict(one) for one in some] for k, some in by_k.items()}
        for kind, by_k in points.efforts.items()
    }
    content = {"format": _KIND, "version": _VERSION, **vars(points), "efforts": efforts}
    atomic.write_bytes(path, sealed(content))


def read_points(path: Path) -> Points:
    """Read operating points.

    Raises
    ------
    MissingFile, DamagedFile, UnsupportedFormat
        None there; damaged or foreign ones.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFile(f"{path} does not exist: {REMEDY}") from error
    content = read_sealed(data, path, kind=_KIND, version=_VERSION, remedy=REMEDY)
    with reading(path, advice=REMEDY):
        return _points(content)


def _points(content: dict[str, Any]) -> Points:
    efforts = {
        kind: {int(k): typed(list[Effort], some, kind) for k, some in by_k.items()}
        for kind, by_k in content["efforts"].items()
    }
    return Points(content["recall"], efforts, content["queries"], content["of"], content["on_disk"])
