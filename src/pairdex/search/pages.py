"""A page of results: a slice of a ranking, with near-duplicates folded if requested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pairdex.search.folding import fold
from pairdex.search.ranking import Ranked
from pairdex.store.vectors_view import VectorsView

__all__ = ["Page", "Ranks", "read_page"]


class Ranks(Protocol):
    """A ranking of rows."""

    def first(self, count: int) -> Ranked:
        """Return up to `count` rows, best first."""


@dataclass(frozen=True)
class Page:
    """Ranked rows. `folded` holds the ids folded into each row; None if folding is off."""

    rows: Ranked
    folded: dict[int, list[int]] | None = None


def read_page(
    ranking: Ranks,
    view: Callable[[], VectorsView],
    *,
    k: int,
    offset: int,
    threshold: float | None,
) -> Page:
    """Return up to k rows of a ranking after the first `offset`.

    Parameters
    ----------
    view
        Returns the vectors to compare when detecting near-duplicates.
    threshold
        Fold a row into an earlier one within this cosine distance. None turns folding off.
    """
    if threshold is None:
        found = ranking.first(k + offset)
        return Page(found.taken(np.arange(min(offset, len(found.ids)), len(found.ids))))
    folded = fold(lambda n: ranking.first(n).ids, view(), k + offset, threshold)
    found = ranking.first(int(folded.places.max(initial=0)) + 1)
    rows = found.taken(folded.places[offset:])
    inside = dict(zip(rows.ids.tolist(), folded.inside[offset:], strict=True))
    return Page(rows, inside)
