"""How reference files name the distance of a space, and rows that are their own queries."""

from __future__ import annotations

from pairdex.derived.projections.files import Projection
from pairdex.derived.projections.search import MEASURES
from pairdex.store.store import Store, VectorField

__all__ = ["distance_of", "rows_checksum"]


def distance_of(store: Store, space: VectorField | Projection) -> str:
    """Return the name of the distance in a space of a collection."""
    if isinstance(space, Projection):
        return MEASURES[space.kind]
    return "1 - cos" if store.metric == "cosine" else "negative inner product"


def rows_checksum(store: Store) -> str:
    """Return what stands for the checksum of the queries if the queries are all rows."""
    return f"rows of {store.checksum}"
