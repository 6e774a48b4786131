"""Searches that arrive at the same time are encoded and searched in batches.

The searches of a batch have these in common: the version of the collection; what is searched (`on`); the
filter; and the number of neighbours within a factor of two, since each batch searches for its largest.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairdex.encoders.text import check_text
from pairdex.errors import InvalidArgument
from pairdex.knn import cosine
from pairdex.knn.distance import similarity
from pairdex.search import Query, SearchOptions, SearchReport, as_hit
from pairdex.search.captions import Captions
from pairdex.search.hybrid import VECTOR_DEPTH
from pairdex.service import limits
from pairdex.service.batches import Batches
from pairdex.service.catalogue import ServedCollection
from pairdex.service.metrics import Metrics
from pairdex.service.search_result import SearchResult
from pairdex.service.workers import Workers

__all__ = ["BEING_INDEXED", "Searches"]

BEING_INDEXED = "captions are being indexed, so vectors alone answered; search again in a while"

_LEAST_K = 32  # searches for fewer neighbours share a batch: it costs them nothing


@dataclass(frozen=True)
class _Wanted:
    """One search of a batch."""

    vector: NDArray[np.float32]
    k: int
    offset: int
    without: NDArray[np.int64]
    words: tuple[str, ...] = ()
    note: str | None = None

    @property
    def neighbours(self) -> int:
        """Number of neighbours to find, so that k are left."""
        enough = self.k + self.offset + len(self.without)
        return max(enough, VECTOR_DEPTH) if self.words else enough


@dataclass(frozen=True)
class _Key:
    """The properties that the searches of a batch share."""

    served: ServedCollection
    on: str
    where: str | None
    exact: bool
    is_partial: bool
    k_class: int


class Searches:
    """The batches in progress, and a cache of the vectors of texts."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers = workers
        self._metrics = metrics
        self._searching: dict[_Key, Batches[_Wanted, SearchResult]] = {}
        self._encoding: dict[ServedCollection, Batches[str, NDArray[np.float32]]] = {}
        self._texts: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self._said: OrderedDict[tuple[ServedCollection, str], tuple[str, ...]] = OrderedDict()

    async def find(
        self,
        served: ServedCollection,
        query: Query,
        *,
        on: str,
        where: str | None,
        k: int,
        offset: int,
        exact: bool = False,
        hybrid: bool = False,
        is_partial: bool = False,
    ) -> SearchResult:
        """Return the hits that `Collection.search` finds.

        Parameters
        ----------
        hybrid
            Also rank a text by captions that contain its words.
        is_partial
            Answer although shards of a cluster are missing.

        Raises
        ------
        PairdexError
            A value of the query cannot be used.
        ApiError
            503, the time limit has passed.
        """
        asked = _texts(query)
        encoding = asyncio.gather(*(self._encode(served, *one) for one in asked))
        splitting = self._words(served, query.only_text if hybrid else None)
        vectors, (words, note) = await asyncio.gather(encoding, splitting)
        texts = {text: one for (text, _), one in zip(asked, vectors, strict=True)}
        vector = served.collection.query_vector(query, on=on, encoder=_Encoded(texts))
        wanted = _Wanted(vector, k, offset, query.rows, words, note)
        k_class = max(_LEAST_K, 1 << (wanted.neighbours - 1).bit_length())
        key = _Key(served, on, where, exact, is_partial, k_class)
        batches = self._searching.get(key)
        if batches is None:
            self._forget_idle()
            batches = self._searching[key] = Batches(
                "search",
                partial(self._search, key),
                pool=self._workers.pool,
                metrics=self._metrics,
                max_items=limits.MAX_BATCH,
            )
        return await batches.run(wanted)

    async def _encode(self, served: ServedCollection, text: str, field: str) -> NDArray[np.float32]:
        try:
            check_text(text)
        except InvalidArgument as error:
            raise InvalidArgument(str(error), field=field) from error
        model = served.collection.encoder.model.checksum
        known = self._texts.get((model, text))
        self._metrics.cache("text", hit=known is not None)
        if known is not None:
            self._texts.move_to_end((model, text))
            return known
        batches = self._encoding.get(served)
        if batches is None:
            self._forget_idle()
            batches = self._encoding[served] = Batches(
                "encode",
                partial(self._encode_all, served),
                pool=self._workers.pool,
                metrics=self._metrics,
                max_items=limits.MAX_BATCH,
            )
        vector = await batches.run(text)
        self._texts[model, text] = vector
        while len(self._texts) > limits.KEPT_TEXTS:
            self._texts.popitem(last=False)
        return vector

    async def _words(
        self, served: ServedCollection, text: str | None
    ) -> tuple[tuple[str, ...], str | None]:
        """Return the words of a text that choose captions; never wait for the captions to be indexed."""
        captions = served.collection.finder.captions
        if text is None or not captions.exist:
            return (), None
        known = self._said.get((served, text))
        if known is not None:
            return known, None
        loop = asyncio.get_running_loop()
        words, note = await loop.run_in_executor(
            self._workers.pool, partial(_words_of, captions, text)
        )
        if note is None:
            self._said[served, text] = words
            while len(self._said) > limits.KEPT_TEXTS:
                self._said.popitem(last=False)
        return words, note

    def _encode_all(self, served: ServedCollection, texts: list[str]) -> list[NDArray[np.float32]]:
        started = time.perf_counter()
        unique = list(dict.fromkeys(texts))
        vectors = served.collection.encoder.encode_texts(unique)
        place = {text: number for number, text in enumerate(unique)}
        self._metrics.stage("encode", time.perf_counter() - started)
        return [vectors[place[text]] for text in texts]

    def _search(self, key: _Key, batch: list[_Wanted]) -> list[SearchResult]:
        started = time.perf_counter()
        collection = key.served.collection
        k = max(wanted.neighbours for wanted in batch)
        vectors = np.stack([wanted.vector for wanted in batch])
        if key.is_partial:
            options = SearchOptions(k, on=key.on, where=key.where, exact=key.exact, partial=True)
            found = collection.finder.nearest(vectors, options)
        else:
            found = collection.nearest(vectors, k, on=key.on, where=key.where, exact=key.exact)
        searched = time.perf_counter()
        self._metrics.stage("search", searched - started)
        rows = zip(batch, found.ids, found.distances, strict=True)
        results = [
            _result(key, wanted, ids, distances, found.report.of_query(number))
            for number, (wanted, ids, distances) in enumerate(rows)
        ]
        self._metrics.stage("metadata", time.perf_counter() - searched)
        return results

    def keep_only(self, served: set[ServedCollection]) -> None:
        """Drop batches of replaced versions; those in progress finish."""
        self._searching = {k: b for k, b in self._searching.items() if k.served in served}
        self._encoding = {k: b for k, b in self._encoding.items() if k in served}
        for each in [key for key in self._said if key[0] not in served]:
            del self._said[each]

    def _forget_idle(self) -> None:
        """Drop idle batches: the number of different filters is unlimited."""
        if len(self._searching) + len(self._encoding) > limits.KEPT_BATCHES:
            self._searching = {k: b for k, b in self._searching.items() if not b.is_idle}
            self._encoding = {k: b for k, b in self._encoding.items() if not b.is_idle}


class _Encoded:
    """An encoder of texts whose vectors are known already."""

    def __init__(self, texts: dict[str, NDArray[np.float32]]) -> None:
        self._texts = texts

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        return np.stack([self._texts[text] for text in texts])

    def encode_images(self, images: list[Any]) -> NDArray[np.float32]:
        raise AssertionError(f"{len(images)} pictures were not encoded before")


def _texts(query: Query) -> list[tuple[str, str]]:
    """Return the texts to encode, each with its field of the request."""
    both = [(query.text, "text"), (query.unlike, "unlike")]
    both += [(term.text, "terms") for term in query.terms or ()]
    return [(text, field) for text, field in both if text is not None]


def _words_of(captions: Captions, text: str) -> tuple[tuple[str, ...], str | None]:
    if not captions.are_ready:
        return (), BEING_INDEXED
    return captions.words_of(text)


def _result(
    key: _Key,
    wanted: _Wanted,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    report: cosine.Report,
) -> SearchResult:
    """Return k rows after the offset, without rows removed in the meantime."""
    keep = ids >= 0
    for row_id in wanted.without:
        keep &= ids != row_id
    near = ids[keep], distances[keep]
    page = slice(wanted.offset, wanted.offset + wanted.k)
    if not wanted.words:
        facts = SearchReport.of(report, note=wanted.note)
        return SearchResult(_hits(key.served, near[0][page], near[1][page]), facts)
    finder = key.served.collection.finder
    fused, distances = finder.fuse_captions(
        *near,
        wanted.words,
        wanted.vector,
        wanted.offset + wanted.k,
        on=key.on,
        where=key.where,
        partial=key.is_partial,
    )
    why = fused.rows()[page]
    facts = SearchReport.of(report, "hybrid", wanted.words).with_missing(fused.missing)
    return SearchResult(_hits(key.served, fused.ids[page], distances[page], why), facts)


def _hits(
    served: ServedCollection,
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    why: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    live = served.collection.live
    rows = np.arange(len(ids)) if live is None else np.flatnonzero(live[ids])
    row_ids = ids[rows].tolist()
    columns = served.collection.values(row_ids)
    reasons = [{}] * len(rows) if why is None else [why[row] for row in rows]
    near = distances[rows]
    similar = similarity(served.collection.metric, near)
    return list(map(as_hit, row_ids, near.tolist(), similar.tolist(), columns, reasons))
