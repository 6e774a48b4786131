"""Measure the recall ceiling of a projection: the recall of brute-force search in its space."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import open_or_build_codes
from pairdex.derived.projections.files import ON, Projection
from pairdex.derived.projections.methods import CEILING_KS
from pairdex.derived.projections.rows import draw_live
from pairdex.derived.projections.search import nearest_projected
from pairdex.errors import InvalidArgument
from pairdex.knn import cosine
from pairdex.progress import StepProgress
from pairdex.store.store import Store
from pairdex.wording import counted

__all__ = ["Ceiling", "recall_ceilings"]

_SAMPLED = 1_000  # queries if none are given: recall is accurate to about 0.01
_SEED = 0
_BLOCK = 250  # queries searched between two progress reports


@dataclass(frozen=True)
class Ceiling:
    """The recall of brute-force search in a projection.

    Attributes
    ----------
    queries
        `given`, or the `image` or `text` vectors of sampled rows. An image query does not count its own row.
    n
        The number of queries.
    recall
        For each k, the share of the k exact neighbours that are among the k nearest in the projection.
    seconds
        The total time of searching the projection for all queries.
    """

    queries: str
    n: int
    recall: dict[int, float]
    seconds: float


@dataclass(frozen=True)
class _Queries:
    """Query vectors, shape (n, dim), and the ids of their rows if a row must not find itself."""

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
    """Compare the neighbours in a projection with the exact cosine neighbours.

    Parameters
    ----------
    queries
        Vectors, shape (n, dim), of the collection's dimension. None: the image vectors of up to 1,000
        random rows, and their text vectors if the collection has them.
    progress
        Called with the queries done and the queries in total.

    Raises
    ------
    InvalidArgument
        The collection has fewer than 31 rows.
    """
    if store.live_rows <= max(CEILING_KS):
        raise InvalidArgument(
            f"{store.path} has {counted(store.live_rows, 'row')}, "
            f"a recall ceiling needs at least {max(CEILING_KS) + 1} rows",
            field="ceiling",
        )
    asked = _sampled(store) if queries is None else [_Queries("given", queries)]
    total = sum(len(one.vectors) for one in asked)
    ceilings: list[Ceiling] = []
    for one in asked:
        done = sum(ceiling.n for ceiling in ceilings)

        def meter(count: int, done: int = done) -> None:
            if progress:
                progress(done + count, total)

        ceilings.append(_ceiling(store, projection, one, meter))
    return ceilings


def _sampled(store: Store) -> list[_Queries]:
    ids = draw_live(store, _SAMPLED, np.random.default_rng(_SEED))
    return [
        _Queries(kind, store.vectors(kind)[ids].astype(np.float32), ids if kind == ON else None)
        for kind in store.manifest.vectors
    ]


def _ceiling(
    store: Store, projection: Projection, asked: _Queries, meter: Callable[[int], None]
) -> Ceiling:
    vectors, own = asked.vectors, asked.own
    codes, blocks, allowed = (
        open_or_build_codes(store, ON),
        store.vectors(ON).blocks,
        store.allowed(),
    )
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
    """Remove the own id from each row of k + 1 ids; if it is absent, remove the last id."""
    is_own = ids == own[:, None]
    is_own[~is_own.any(axis=1), -1] = True
    return np.asarray(ids[~is_own].reshape(len(ids), -1))


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    return sum(len(np.intersect1d(a, b)) for a, b in zip(one, other, strict=True))
