"""Compare vectors in the actors of a cluster; everything else of a search happens here.

The answers are those of `ShardedSearcher`, which explains why a merged answer keeps what its shards promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.cluster.actors import HeldShard, ShardActors
from pairdex.cluster.flags import PackedFlags
from pairdex.cluster.holder import Asked
from pairdex.derived.projections.files import Projection
from pairdex.errors import ClusterFailed
from pairdex.ivf.efforts import check_recall
from pairdex.knn import cosine
from pairdex.knn.merging import Merging
from pairdex.predicate.evaluation import FilterFailed, seconds_left
from pairdex.progress import StepProgress
from pairdex.search.neighbours import check_vectors
from pairdex.search.options import SearchOptions
from pairdex.search.searcher import Searcher
from pairdex.search.sharded import merged_report
from pairdex.store.store import Store, VectorField

__all__ = ["ClusterSearcher"]


class ClusterSearcher(Searcher):
    """Searches shards at the same time, each by the way that is cheapest there, and merges the answers."""

    def __init__(self, store: Store, actors: ShardActors, *, use_codes: bool) -> None:
        super().__init__(store, use_codes=use_codes)
        self._actors = actors
        self._holding = actors.holding(store, use_codes=use_codes)

    def has_index(self, on: VectorField) -> bool:
        """Return True if a shard has an index."""
        return any(one is not None and on in one.indexed for one in self._holding.opened())

    def prepare(self, on: str, *, exact: bool, progress: StepProgress | None) -> None:  # noqa: ARG002
        """Wait until every shard is held and prepared, also for exact searches."""
        self.space(on)  # raises if it does not exist
        self._holding.wait(progress)

    def is_prepared(self, on: str) -> bool:
        """Return True if every shard is prepared."""
        if isinstance(self.space(on), Projection):
            return True
        return all(one is not None and on in one.prepared for one in self._holding.opened())

    def nearest(
        self, space: VectorField | Projection, vectors: NDArray[Any], k: int, options: SearchOptions
    ) -> cosine.Neighbours:
        """Search every shard by the options; see `Searcher.nearest`.

        Raises
        ------
        ClusterFailed
            No replica of a shard answers, unless the options ask for a partial answer.
        """
        if options.recall is not None:
            check_recall(options.recall)
        name = space.name if isinstance(space, Projection) else space
        if not isinstance(space, Projection):
            check_vectors(self._store, vectors, k, space)
        asked = Asked(name, vectors, k, options, None, _filter_seconds())
        return self._merged([(held, asked) for held in self._holding.shards], options)

    def nearest_among(
        self,
        on: VectorField,
        vectors: NDArray[Any],
        k: int,
        among: NDArray[np.bool_],
        options: SearchOptions,
    ) -> cosine.Neighbours:
        """Search exactly among flagged rows, in the shards that have some; raises as `nearest`."""
        inside = [among[one.first_id : one.first_id + one.rows] for one in self._holding.shards]
        asked = [
            (held, Asked(on, vectors, k, options, PackedFlags.of(flags), None))
            for held, flags in zip(self._holding.shards, inside, strict=True)
            if flags.any() or not among.any()
        ]
        return self._merged(asked, options)

    def _merged(
        self, asked: Sequence[tuple[HeldShard, Asked]], options: SearchOptions
    ) -> cosine.Neighbours:
        queries, k = len(asked[0][1].vectors), asked[0][1].k
        merging, reports, missing = Merging(queries, k), [], []
        answers = self._actors.ask(asked)
        for (held, _), found in zip(asked, answers, strict=True):
            if found is None:
                missing.append(held.name)
                continue
            merging.add(found.ids, found.distances, held.first_id)
            reports.append(found.report)
        if missing and not (options.partial and reports):
            raise ClusterFailed(_unanswered(self._store.name, missing, len(answers)))
        report = merged_report(reports, queries)
        return cosine.Neighbours(merging.ids, merging.distances, _without(report, missing))


def _filter_seconds() -> float | None:
    """Return the time that is left for filters; None without a limit."""
    try:
        return seconds_left()
    except FilterFailed:
        return 0.0  # the shards say so if there is a filter


def _unanswered(name: str, missing: Sequence[str], shards: int) -> str:
    return (
        f"{len(missing)} of {shards} shards of {name} do not answer now: {', '.join(missing)}; their actors are "
        "being started again; search again in a moment"
    )


def _without(report: cosine.Report, missing: Sequence[str]) -> cosine.Report:
    """Return a report that promises nothing if shards are missing."""
    if not missing:
        return report
    answered = replace(report.answered, promised=None)
    return replace(
        report,
        certified=False,
        exact=False,
        recall=None,
        answered=answered,
        missing=tuple(missing),
    )
