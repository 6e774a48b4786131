"""Search the shards of a collection, each by its own codes and index, and merge what they find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import of_shards
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes, Codes
from pairdex.knn.merging import Merging
from pairdex.knn.ways import Choice
from pairdex.progress import StepProgress
from pairdex.search.options import SearchOptions
from pairdex.search.planner import GRAPH, INDEX
from pairdex.search.searcher import Searcher
from pairdex.store.store import Store, VectorField

__all__ = ["ShardedSearcher", "merged_report", "searcher_of"]


def searcher_of(store: Store, *, use_codes: bool) -> Searcher:
    """Return the searcher of a collection, sharded or not; see `Searcher`."""
    kind = ShardedSearcher if store.shards else Searcher
    return kind(store, use_codes=use_codes)


class ShardedSearcher(Searcher):
    """Searches shards one after another; the k nearest of all are among the k nearest of each.

    A merged answer is certified if the answers of all shards are. Of the k nearest rows, an index finds
    those that are nearest in their shard: its recall for them is at least that of its k nearest rows. So the
    least recall that a shard promises holds for the merged answer.
    """

    def __init__(self, store: Store, *, use_codes: bool) -> None:
        super().__init__(store, use_codes=use_codes)
        self._shards = [Searcher(shard, use_codes=use_codes) for shard in store.shards]

    def has_index(self, on: VectorField) -> bool:
        """Return True if a shard has an index."""
        return any(shard.has_index(on) for shard in self._shards)

    def codes(self, on: VectorField, progress: StepProgress | None = None) -> AnyCodes | None:
        """Return the codes of the shards, built if needed; None if searches use none."""
        found = [shard.codes(on, progress) for shard in self._shards]
        return of_shards(self._store, [one if isinstance(one, Codes) else None for one in found])

    def prepare(self, on: str, *, exact: bool, progress: StepProgress | None) -> None:
        """Prepare every shard."""
        self.space(on)  # raises if it does not exist
        for shard in self._shards:
            shard.prepare(on, exact=exact, progress=progress)

    def is_prepared(self, on: str) -> bool:
        """Return True if every shard is prepared."""
        self.space(on)
        return all(shard.is_prepared(on) for shard in self._shards)

    def nearest_allowed(
        self,
        on: VectorField,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        options: SearchOptions,
    ) -> cosine.Neighbours:
        """Search each shard by the way that is cheapest there; without any index, all exactly."""
        if options.exact or not self.has_index(on):
            return super().nearest_allowed(on, queries, k, allowed, options)
        merging, reports, first = Merging(len(queries), k), [], 0
        for shard, store in zip(self._shards, self._store.shards, strict=True):
            inside = None if allowed is None else allowed[first : first + store.rows]
            found = shard.nearest_allowed(on, queries, k, inside, options)
            merging.add(found.ids, found.distances, first)
            reports.append(found.report)
            first += store.rows
        return cosine.Neighbours(
            merging.ids, merging.distances, merged_report(reports, len(queries))
        )


def merged_report(reports: Sequence[cosine.Report], n_queries: int) -> cosine.Report:
    """Return what all shards did, and the least that they promise."""
    recalls = [report.recall for report in reports if report.recall is not None]
    return cosine.Report(
        *cosine.total_counts(reports),
        certified=all(report.certified for report in reports),
        exact=all(report.exact for report in reports),
        recall=min(recalls, default=None),
        answered=_answered([report.answered for report in reports], n_queries),
    )


def _answered(answered: Sequence[cosine.Answered], n_queries: int) -> cosine.Answered:
    choices = _different([choice for one in answered for choice in one.choices])
    asked = next((one.asked for one in answered if one.asked is not None), None)
    by_index = [one for one in answered if one.by in (GRAPH, INDEX)]
    if not by_index:
        return cosine.Answered(asked=asked, choices=choices)
    everyone = set(range(n_queries))
    exactly = everyone.intersection(*(one.exactly for one in by_index))
    walked = {
        place
        for one in by_index
        if one.by == GRAPH
        for place in everyone - {*one.exactly, *one.by_lists}
    }
    promised = [one.promised for one in by_index if one.promised is not None]
    seconds = [one.build_seconds for one in by_index]
    known = [one for one in seconds if one is not None]
    return cosine.Answered(
        by=GRAPH if walked else INDEX,
        params="; ".join(dict.fromkeys(one.params for one in by_index)),
        asked=asked,
        promised=min(promised, default=None),
        measured_on=min(one.measured_on for one in by_index),
        build_seconds=sum(known) if len(known) == len(seconds) else None,
        exactly=tuple(sorted(exactly)),
        by_lists=tuple(sorted(everyone - walked - exactly)) if walked else (),
        choices=choices,
    )


def _different(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return the choices of shards, each once."""
    kept: list[Choice] = []
    for choice in choices:
        same = [
            one for one in kept if one == choice and np.array_equal(one.positions, choice.positions)
        ]
        if not same:
            kept.append(choice)
    return tuple(kept)
