"""How much of the true neighbours a search in a projection can find at most: brute force in it, as recall."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import have_codes
from pairdex.derived.projections.files import ON, Projection
from pairdex.derived.projections.rows import draw_live
from pairdex.derived.projections.search import nearest_projected
from pairdex.errors import InvalidArgument
from pairdex.knn import cosine
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["CEILING_KS", "Ceiling", "recall_ceilings"]

CEILING_KS = (10, 30)
_SAMPLED = 1_000  # queries, where none are given: recall to about a hundredth
_SEED = 0
_BLOCK = 250  # queries searched at once, for progress


@dataclass(frozen=True)
class Ceiling:
    """What brute force in a projection finds of the exact neighbours.

    Attributes
    ----------
    queries
        Which: `given`, or sampled rows' `image` vectors (themselves left out) or `text` vectors.
    n
        How many.
    recall
        By k: the share of the k exact neighbours that are among the k nearest in the projection.
    seconds
        Of the search in the projection, all queries together.
    """

    queries: str
    n: int
    recall: dict[int, float]
    seconds: float


@dataclass(frozen=True)
class _Asked:
    """Queries (n, dim) and, where a row must not find itself, the rows' ids."""

    name: str
    vectors: NDArray[np.float32]
    own: NDArray[np.int64] | None = None


def recall_ceilings(
    store: Store,
    projection: Projection,
    queries: NDArray[np.float32] | None = None,
    *,
    progress: StepProgress | None = None,
) -> list[Ceiling]:
    """Compare the neighbours in a projection with the exact ones by cosine.

    Parameters
    ----------
    queries
        Vectors (n, dim) as the collection's. None: up to 1,000 rows at random, by their image vectors
        and, where the collection has such, by their text vectors.
    progress
        Called with the queries done and the queries in all.

    Raises
    ------
    InvalidArgument
        The collection has no more than 30 rows.
    """
    if store.live_rows <= max(CEILING_KS):
        raise InvalidArgument(
            f"{store.path} has {store.live_rows:,} rows, "
            f"a recall ceiling needs more than {max(CEILING_KS)}",
            field="ceiling",
        )
    asked = _sampled(store) if queries is None else [_Asked("given", queries)]
    total = sum(len(one.vectors) for one in asked)
    ceilings: list[Ceiling] = []
    for one in asked:
        done = sum(ceiling.n for ceiling in ceilings)

        def meter(count: int, done: int = done) -> None:
            if progress:
                progress(done + count, total)

        ceilings.append(_ceiling(store, projection, one, meter))
    return ceilings


def _sampled(store: Store) -> list[_Asked]:
    ids = draw_live(store, _SAMPLED, np.random.default_rng(_SEED))
    return [
        _Asked(kind, store.vectors(kind)[ids].astype(np.float32), ids if kind == ON else None)
        for kind in store.manifest.vectors
    ]


def _ceiling(
    store: Store, projection: Projection, asked: _Asked, meter: Callable[[int], None]
) -> Ceiling:
    vectors, own = asked.vectors, asked.own
    codes, blocks, allowed = have_codes(store, ON), store.vectors(ON).blocks, store.allowed()
    k = max(CEILING_KS) + (own is not None)
    hits, seconds = dict.fromkeys(CEILING_KS, 0), 0.0
    for first in range(0, len(vectors), _BLOCK):
        some = slice(first, first + _BLOCK)
        true = cosine.nearest(blocks, vectors[some], k, allowed=allowed, codes=codes).ids
        started = time.perf_counter()
        found, _ = nearest_projected(projection, vectors[some], k, allowed=allowed)
        seconds += time.perf_counter() - started
        if own is not None:
            true, found = _without(true, own[some]), _without(found, own[some])
        for size in CEILING_KS:
            hits[size] += _shared(true[:, :size], found[:, :size])
        meter(min(first + _BLOCK, len(vectors)))
    recall = {size: hits[size] / (size * len(vectors)) for size in CEILING_KS}
    return Ceiling(asked.name, len(vectors), recall, seconds)


def _without(ids: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave its own id out of each row of k + 1; the last one where it is not there."""
    is_own = ids == own[:, None]
    is_own[~is_own.any(axis=1), -1] = True
    return np.asarray(ids[~is_own].reshape(len(ids), -1))


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    return sum(len(np.intersect1d(a, b)) for a, b in zip(one, other, strict=True))
