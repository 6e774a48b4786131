"""The list of all kinds of derived data. `verify`, `info` and a running service iterate over it."""

from __future__ import annotations

from pairdex.derived.atlas.kind import ATLAS
from pairdex.derived.codes import CODES
from pairdex.derived.index_kind import GRAPH, IVF
from pairdex.derived.kind import DerivedKind
from pairdex.derived.lookups.kind import LOOKUPS
from pairdex.derived.projections.kind import PROJECTIONS
from pairdex.derived.scores import SCORE_COLUMNS

__all__ = ["KINDS"]

KINDS: tuple[DerivedKind, ...] = (
    CODES,
    IVF,
    GRAPH,
    *LOOKUPS,
    SCORE_COLUMNS,
    PROJECTIONS,
    ATLAS,
)
