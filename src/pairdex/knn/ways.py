"""The ways in which a search could go: the expected cost and recall of each, and which was taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Choice", "Way"]


@dataclass(frozen=True)
class Way:
    """A way to answer queries of one kind.

    Attributes
    ----------
    name
        `graph`; `ivf`; `codes` or `rows`, the exact search by codes or of the (allowed) rows themselves; or the
        name of a projection.
    microseconds
        The expected time of one query of the batch; None if it was not estimated.
    recall
        The recall that it promises, 1 for an exact search; None if it is not known.
    params
        The settings, such as `nprobe=4 rerank=20`.
    why_not
        Why it is not possible; None if it is.
    """

    name: str
    microseconds: float | None = None
    recall: float | None = None
    params: str = ""
    why_not: str | None = None


@dataclass(frozen=True)
class Choice:
    """Which way some queries of a batch took.

    Attributes
    ----------
    kind
        `own` for queries like the rows, `other` for queries like the other kind of vectors, `unknown`
        for queries unlike both, `all` where kinds make no difference.
    taken
        The name of the way.
    because
        Why it was taken, in words.
    ways
        All ways, possible or not.
    positions
        (n,) the positions of these queries in the batch.
    """

    kind: str
    taken: str
    because: str
    ways: tuple[Way, ...]
    positions: NDArray[np.int64] = field(repr=False, compare=False)

    @property
    def way(self) -> Way:
        """The way that was taken."""
        return next(one for one in self.ways if one.name == self.taken)

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON, with the number of queries instead of their positions."""
        return {
            "kind": self.kind,
            "queries": len(self.positions),
            "taken": self.taken,
            "because": self.because,
            "ways": [vars(way) for way in self.ways],
        }
