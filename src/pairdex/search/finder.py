"""Answer text, picture, row and vector queries about one collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pairdex.arguments import StrPath
from pairdex.derived.lookups.urls import UrlTable
from pairdex.derived.projections.files import Projection
from pairdex.knn import cosine
from pairdex.knn.distance import similarity
from pairdex.search.browse import browse, choose
from pairdex.search.caption_words import fuse_captions
from pairdex.search.captions import Captions
from pairdex.search.facets import Facets, count_facets
from pairdex.search.hits import Hits, describe, with_folded
from pairdex.search.hybrid import Fused
from pairdex.search.neighbours import distances_between
from pairdex.search.options import SearchOptions
from pairdex.search.pages import Page, Ranks, read_page
from pairdex.search.picture_names import picture_note
from pairdex.search.query import EncodedTexts, Query, TextImageEncoder, query_vector
from pairdex.search.safety import narrowed
from pairdex.search.searcher import Searcher
from pairdex.search.sharded import searcher_of
from pairdex.search.sorting import SortOrders
from pairdex.store.own_model import find_model
from pairdex.store.store import Store, VectorField

if TYPE_CHECKING:
    from pairdex.encoders.encoder import Encoder

__all__ = ["Finder", "HasFinder", "MakeSearcher"]

_KEPT_FACETS = 64  # filters whose facets are cached; a few kilobytes each


class MakeSearcher(Protocol):
    """Makes what compares the vectors of a store."""

    def __call__(self, store: Store, *, use_codes: bool) -> Searcher:
        """Return the searcher of a store; see `Searcher`."""


class Finder:
    """A store with its query data: the model, the keyword and URL indexes, and the facets.

    Each is opened or built once, on first use. Queries are thread-safe.

    Parameters
    ----------
    model
        The name or folder of the model that made the vectors. Needed only if the collection does
        not record it.
    use_codes
        Use codes in exact searches. Without codes, a search reads all vectors and gives the same
        answer.
    make_searcher
        Makes what compares the vectors: here, or on a cluster.
    """

    def __init__(
        self,
        store: Store,
        *,
        model: StrPath | None = None,
        use_codes: bool = True,
        make_searcher: MakeSearcher = searcher_of,
    ) -> None:
        self.store = store
        self.model_source = model
        self.use_codes = use_codes
        self.make_searcher = make_searcher
        self.searcher = make_searcher(store, use_codes=use_codes)
        self._orders = SortOrders(store)
        self._facets: dict[tuple[str, str | None, str | None], Facets] = {}
        self.captions = Captions(store, writes=use_codes)
        self._urls: UrlTable | None = None
        self._indexing = Lock()  # separate, so that searches run while URLs are indexed

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded model that made the vectors; raises like `find_model`."""
        from pairdex.encoders.encoder import Encoder  # noqa: PLC0415 - ONNX Runtime loads slowly

        return Encoder(find_model(self.store, self.model_source))

    def kind_of(self, on: str) -> VectorField:
        """Return the kind of vectors that a search on `on` compares."""
        space = self.searcher.space(on)
        return space.record.on if isinstance(space, Projection) else space

    def query_vector(
        self, query: Query, *, on: str, encoder: TextImageEncoder | None = None
    ) -> NDArray[np.float32]:
        """Return the query vector (dim,); see `Collection.query_vector`."""
        kind = self.kind_of(on)
        if encoder is None and query.needs_model:
            encoder = self.encoder
        return query_vector(self.store, query, encoder, kind)

    def find_all(self, queries: Sequence[Query], options: SearchOptions) -> list[Hits]:
        """Run `find` for each query; encode all texts in one batch."""
        texts = list(dict.fromkeys(text for query in queries for text in query.texts))
        encoder = EncodedTexts(self.encoder, texts) if len(texts) > 1 else None
        return [self.find(query, options, encoder=encoder) for query in queries]

    def find(
        self, query: Query, options: SearchOptions, *, encoder: TextImageEncoder | None = None
    ) -> Hits:
        """Return the rows that answer a query; see `Collection.search`.

        Raises
        ------
        InvalidArgument, Mismatch
            A value of the query or an option is invalid.
        """
        options.check_query()
        self._check_fold(options)
        on, kind = options.on, self.kind_of(options.on)
        asked = self.query_vector(query, on=on, encoder=encoder)
        ranking = self.searcher.ranking(query, asked, self._narrowed(options), self.captions)
        page = self._page(ranking, options)
        similar = None
        if on != kind:  # the distances are a projection's
            apart = distances_between(self.store, kind, asked, page.rows.ids)
            similar = similarity(self.store.metric, apart)
        hits = self._hits(page, similar)
        note = hits.report.note or picture_note(query.only_text)
        return Hits(hits.table, replace(hits.report, note=note), hits.collection)

    def browse(self, options: SearchOptions) -> Hits:
        """Return the rows that keywords, a filter and an order choose; see `Collection.search`.

        Raises
        ------
        InvalidArgument
            As `browse.browse`; or the options choose no rows.
        """
        self._check_fold(options)
        chosen = browse(self.store, self._narrowed(options), self._orders, self.captions.index)
        hits = self._hits(self._page(chosen, options))
        if options.fold is None:
            return hits
        report = replace(hits.report, next=None)  # `after` knows no folded rows
        return Hits(hits.table, report, hits.collection)

    def _check_fold(self, options: SearchOptions) -> None:
        if options.fold is not None:
            self.store.check_cosine("fold")

    def _page(self, ranking: Ranks, options: SearchOptions) -> Page:
        view = partial(self.store.vectors, self.kind_of(options.on))
        return read_page(ranking, view, k=options.k, offset=options.offset, threshold=options.fold)

    def _hits(self, page: Page, cosines: NDArray[np.float64] | None = None) -> Hits:
        rows = page.rows
        table = describe(self.store, rows.ids, rows.distances, cosines, rows.why)
        folded = table if page.folded is None else with_folded(table, page.folded)
        return Hits(folded, rows.report, self.store.path.absolute())

    def nearest(self, vectors: NDArray[Any], options: SearchOptions) -> cosine.Neighbours:
        """Return the k nearest rows of each vector (n, dim); see `Collection.nearest`."""
        space = self.searcher.space(options.on)
        return self.searcher.nearest(space, vectors, options.k, self._narrowed(options))

    def fuse_captions(
        self,
        near: NDArray[np.int64],
        distances: NDArray[np.float64],
        words: tuple[str, ...],
        vector: NDArray[np.float32],
        count: int,
        *,
        on: str,
        where: str | None,
        partial: bool = False,
    ) -> tuple[Fused, NDArray[np.float64]]:
        """Fuse the nearest rows of a text with captions that contain its words; see `fuse_captions`."""
        among = self.captions.among(words, self.store.allowed(where))
        kind, options = self.kind_of(on), SearchOptions(on=on, partial=partial)

        def nearest(k: int, rows: NDArray[np.bool_]) -> cosine.Neighbours:
            return self.searcher.nearest_among(kind, vector[None, :], k, rows, options)

        return fuse_captions(near, distances, among, nearest, count)

    def find_urls(self, urls: Sequence[str]) -> list[list[int]]:
        """Return the ids of the rows that have each URL; raises like `UrlTable`."""
        with self._indexing:
            if self._urls is None:
                self._urls = UrlTable(self.store)
        return self._urls.find(urls)

    def facets(self, where: str | None, *, safe: bool, keywords: str | None = None) -> Facets:
        """Return column statistics over the rows that match a filter and keywords; cache them."""
        both = narrowed(self.store, where, safe=safe)
        key = (self.store.checksum, both, keywords)
        if key not in self._facets:
            among = None if keywords is None else choose(self.captions.index(), keywords)
            if len(self._facets) >= _KEPT_FACETS:
                self._facets = {}
            self._facets[key] = count_facets(self.store, both, among)
        return self._facets[key]

    def _narrowed(self, options: SearchOptions) -> SearchOptions:
        """Return options whose filter includes safe mode."""
        where = narrowed(self.store, options.where, safe=options.safe)
        return replace(options, where=where, safe=False)


@runtime_checkable
class HasFinder(Protocol):
    """The interface of an opened collection that lower layers use."""

    @property
    def finder(self) -> Finder:
        """The finder that answers queries on this collection."""
