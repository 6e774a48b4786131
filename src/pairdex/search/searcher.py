"""Search an opened collection by the fastest available method: index, codes or vectors."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.codes import find_codes, open_or_build_codes
from pairdex.derived.graph import find_graph, walk_costs
from pairdex.derived.index import find_index
from pairdex.derived.index_costs import costs_of
from pairdex.derived.lookups.words import parse_keywords
from pairdex.derived.projections.files import Projection
from pairdex.errors import InvalidArgument
from pairdex.graph_index.efforts import GraphPoints
from pairdex.graph_index.search import WalkedGraph
from pairdex.ivf.costs import Costs, this_machine
from pairdex.ivf.efforts import OperatingPoints, check_recall
from pairdex.ivf.search import InvertedIndex
from pairdex.ivf.timing import QUICK
from pairdex.knn import cosine
from pairdex.knn.codes import AnyCodes
from pairdex.knn.ways import Way
from pairdex.progress import StepProgress
from pairdex.search.approximate import Indexes, Planned, search_by_choices
from pairdex.search.captions import Captions
from pairdex.search.few_rows import nearest_of_few
from pairdex.search.neighbours import check_vectors, nearest_in_space, open_space
from pairdex.search.options import SearchOptions
from pairdex.search.planner import CODES, INDEX, ROWS, Situation, decide, only
from pairdex.search.query import Query
from pairdex.search.ranking import CaptionHybrid, Hybrid, Nearest, Ranking, distances_to
from pairdex.store.ranged_vectors import RangedVectors
from pairdex.store.store import Store, VectorField

__all__ = ["Searcher"]


class Searcher:
    """A store with its search data. Each piece is opened or built once, on first use.

    Searches are thread-safe.

    Parameters
    ----------
    use_codes
        Use codes in exact searches. Without codes, a search reads all vectors and gives the same
        answer.
    """

    def __init__(self, store: Store, *, use_codes: bool) -> None:
        self._store = store
        self._use_codes = use_codes
        self._codes: dict[VectorField, AnyCodes | None] = {}
        self._indexes: dict[VectorField, tuple[InvertedIndex, OperatingPoints] | None] = {}
        self._graphs: dict[VectorField, tuple[WalkedGraph, GraphPoints] | None] = {}
        self._costs: dict[VectorField, Costs] = {}
        self._projections: dict[str, Projection] = {}
        self._preparing = Lock()  # several threads build the codes only once

    def space(self, on: str) -> VectorField | Projection:
        """Return what `on` names: a kind of vectors, or a projection. A projection is opened once.

        Raises
        ------
        InvalidArgument, Mismatch, DamagedFile, UnsupportedFormat
            As `open_space`.
        """
        if on not in self._projections:
            space = open_space(self._store, on)
            if not isinstance(space, Projection):
                return space
            self._projections[on] = space
        return self._projections[on]

    def index(self, on: VectorField) -> tuple[InvertedIndex, OperatingPoints] | None:
        """Return the index of the vectors, opened once; None if no usable index exists."""
        with self._preparing:
            if on not in self._indexes:
                self._indexes[on] = find_index(self._store, on)
            return self._indexes[on]

    def graph(self, on: VectorField) -> tuple[WalkedGraph, GraphPoints] | None:
        """Return the graph of the vectors, opened once; None if no usable graph exists.

        Its costs are measured again on another machine.
        """
        if self._leaves_on_disk(on):
            return None
        with self._preparing:
            if on not in self._graphs:
                found = find_graph(self._store, on)
                if found is not None and found[1].costs.machine != this_machine():
                    graph, points = found
                    found = (
                        graph,
                        replace(points, costs=walk_costs(self._store, on, graph, rounds=1)),
                    )
                self._graphs[on] = found
            return self._graphs[on]

    def has_index(self, on: VectorField) -> bool:
        """Return True if searches of the vectors can use an approximate index."""
        return self.index(on) is not None

    def codes(self, on: VectorField, progress: StepProgress | None = None) -> AnyCodes | None:
        """Return the codes of the vectors, built if needed; None if searches do not use codes."""
        if not self._use_codes:
            return None
        find_only = self._leaves_on_disk(on)  # codes would use the memory that the index saves
        with self._preparing:
            if on not in self._codes:
                self._codes[on] = (
                    find_codes(self._store, on)
                    if find_only
                    else open_or_build_codes(self._store, on, progress=progress)
                )
            return self._codes[on]

    def prepare(self, on: str, *, exact: bool, progress: StepProgress | None) -> None:
        """Load or build what makes searches fast; see `Collection.prepare`."""
        space = self.space(on)
        if not isinstance(space, Projection) and (self.index(space) is None or exact):
            self.codes(space, progress)

    def is_prepared(self, on: str) -> bool:
        """Return True if codes are loaded, or none are needed."""
        space = self.space(on)
        if isinstance(space, Projection) or not self._use_codes or self._store.rows == 0:
            return True
        if self._leaves_on_disk(space):
            return True
        return self._codes.get(space) is not None

    def nearest(
        self, space: VectorField | Projection, vectors: NDArray[Any], k: int, options: SearchOptions
    ) -> cosine.Neighbours:
        """Return the k nearest rows of each vector; see `Collection.nearest`."""
        if options.recall is not None:
            check_recall(options.recall)
        if isinstance(space, Projection):
            found = nearest_in_space(self._store, space, vectors, k, where=options.where)
            way = Way(space.name, params=found.report.answered.params)
            return _because(found, way, "a projection is searched by its own distance")
        check_vectors(self._store, vectors, k, space)
        allowed = self._store.allowed(options.where)
        return self.nearest_allowed(space, cosine.check_queries(vectors), k, allowed, options)

    def nearest_allowed(
        self,
        on: VectorField,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        options: SearchOptions,
    ) -> cosine.Neighbours:
        """Return the k nearest of the rows that `allowed` (rows,) flags; None: of all rows.

        `options` says whether to search exactly, and the recall to reach. The queries are checked.
        """
        few = nearest_of_few(self._store, on, queries, k, allowed)
        if few is not None:
            return _exact_because(few, "few rows may be found, and only these are fetched")
        index = None if options.exact else self.index(on)
        if index is not None:
            indexes = Indexes(*index, *(self.graph(on) or (None, None)))
            return self._planned(on, indexes, queries, k=k, allowed=allowed, options=options)
        blocks, codes = self._store.vectors(on).blocks, self.codes(on)
        metric = self._store.metric
        found = cosine.nearest(blocks, queries, k, metric=metric, allowed=allowed, codes=codes)
        if options.exact:
            return _exact_because(found, "an exact search was asked for")
        why = f"there is no usable index of {on} vectors; pairdex index makes one"
        if metric != "cosine":
            why = f"an index is for cosines, the metric is {metric}"
        return _exact_because(found, why)

    def _planned(
        self,
        on: VectorField,
        indexes: Indexes,
        queries: NDArray[np.float32],
        *,
        k: int,
        allowed: NDArray[np.bool_] | None,
        options: SearchOptions,
    ) -> cosine.Neighbours:
        """Decide by expected cost, for each kind of query, and search."""
        index, points = indexes.lists, indexes.points
        recall = points.recall if options.recall is None else options.recall
        n_allowed = None if allowed is None else int(np.count_nonzero(allowed))
        situation = Situation(index.rows, index.file.header.nlist, k, recall, n_allowed)
        planned = self._decided(on, indexes, queries, situation)

        def exactly(some: NDArray[np.float32], by_codes: bool) -> cosine.Neighbours:
            blocks, codes = self._store.vectors(on).blocks, self.codes(on) if by_codes else None
            return cosine.nearest(  # an index exists for cosines only
                blocks, some, k, allowed=allowed, codes=codes, gather=not by_codes
            )

        return search_by_choices(indexes, queries, k, planned, allowed=allowed, exactly=exactly)

    def _decided(
        self,
        on: VectorField,
        indexes: Indexes,
        queries: NDArray[np.float32],
        situation: Situation,
    ) -> Planned:
        """Decide for each kind of query; again if codes turn out to be unavailable."""
        costs, kinds = self.costs(on), indexes.lists.kinds(queries)
        situation = replace(situation, why_no_codes=self._why_no_codes(on))
        while True:
            both = [
                decide(kind, some, indexes.points, costs, situation, graph=indexes.graph_points)
                for kind, some in kinds.items()
            ]
            choices, efforts = zip(*both, strict=True) if both else ((), ())
            if all(choice.taken != CODES for choice in choices) or self.codes(on) is not None:
                return Planned(choices, efforts, situation.recall)
            situation = replace(situation, why_no_codes="codes cannot be written now")

    def costs(self, on: VectorField) -> Costs:
        """Return what searches of vectors with an index cost; measured again on another machine."""
        found = self.index(on)
        assert found is not None, "the caller opened it"
        index, points = found
        with self._preparing:
            if on not in self._costs:
                known = points.costs
                is_ours = known is not None and known.machine == this_machine()
                if known is None or not (is_ours or self._is_ranged(on)):
                    known = costs_of(self._store, on, index, points.efforts, pace=QUICK)
                self._costs[on] = known
            return self._costs[on]

    def _why_no_codes(self, on: VectorField) -> str | None:
        if not self._use_codes:
            return "codes are switched off"
        if self._is_ranged(on):
            return "the vectors are read by ranges, and codes would be fetched whole"
        if self._leaves_on_disk(on) and self.codes(on) is None:
            return "the vectors stay on disk, and codes would take the memory that this saves"
        return None

    def ranking(
        self,
        query: Query,
        vector: NDArray[np.float32],
        options: SearchOptions,
        captions: Captions,
    ) -> Ranking:
        """Return a lazy ranking of rows for a query.

        Parameters
        ----------
        vector
            The query vector, shape (dim,).
        captions
            The keyword index of the captions. Used if the options have keywords, or the query is a text.

        Raises
        ------
        InvalidArgument
            Keywords are combined with a projection, or are invalid.
        """
        space = self.space(options.on)

        def found(count: int, among: NDArray[np.bool_] | None) -> cosine.Neighbours:
            if among is None or isinstance(space, Projection):
                return self.nearest(space, vector[None, :], count, options)
            return self.nearest_among(space, vector[None, :], count, among, options)

        if options.keywords is not None:
            return self._by_keywords(found, query, vector, options, captions)
        if query.only_text is None or not options.hybrid or isinstance(space, Projection):
            return Ranking(found, query.rows)
        words, note = captions.words_of(query.only_text)
        if not words:
            return Ranking(found, query.rows, note=note)
        among = captions.among(words, self._store.allowed(options.where))
        return CaptionHybrid(found, query.rows, words=words, among=among)

    def nearest_among(
        self,
        on: VectorField,
        vectors: NDArray[Any],
        k: int,
        among: NDArray[np.bool_],
        options: SearchOptions,  # noqa: ARG002 - matter to searches of a cluster
    ) -> cosine.Neighbours:
        """Return the exact k nearest rows of each vector (n, dim) among flagged rows."""
        few = nearest_of_few(self._store, on, vectors, k, among)
        if few is not None:
            return _exact_because(
                few, "few captions have the words, and only their rows are fetched"
            )
        blocks, codes = self._store.vectors(on).blocks, self.codes(on)
        metric = self._store.metric
        found = cosine.nearest(blocks, vectors, k, metric=metric, allowed=among, codes=codes)
        return _exact_because(found, "the words of the query restrict the rows")

    def _by_keywords(
        self,
        found: Nearest,
        query: Query,
        vector: NDArray[np.float32],
        options: SearchOptions,
        captions: Captions,
    ) -> Ranking:
        space = self.space(options.on)
        if isinstance(space, Projection):
            raise InvalidArgument(
                f"keywords go with searches on image or text, got {options.on}", field="keywords"
            )
        assert options.keywords is not None
        return Hybrid(
            found,
            query.rows,
            keywords=parse_keywords(options.keywords),
            index=captions.index(),
            allowed=self._store.allowed(options.where),
            distances=distances_to(self._store, space, vector),
        )

    def _is_ranged(self, on: VectorField) -> bool:
        """Return True if the vectors are read by ranges: the published costs decide then."""
        vectors = self._store.vectors(on)
        return isinstance(vectors, RangedVectors) and not vectors.is_whole

    def _leaves_on_disk(self, on: VectorField) -> bool:
        index = self.index(on)
        return index is not None and index[0].on_disk


def _exact_because(found: cosine.Neighbours, why: str) -> cosine.Neighbours:
    """Return what an exact search found, with the reason why it did not use the index."""
    way = Way(CODES if found.report.scanned else ROWS, recall=1.0)
    return _because(found, way, why, Way(INDEX, why_not=why))


def _because(found: cosine.Neighbours, way: Way, because: str, *others: Way) -> cosine.Neighbours:
    """Return what was found, with the way that was taken without regard to costs."""
    choices = only(way, because, len(found.ids), *others)
    answered = replace(found.report.answered, choices=choices)
    return replace(found, report=replace(found.report, answered=answered))
