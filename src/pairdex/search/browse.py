"""Searches without a query: rows by the words of their captions, by a filter, in the order of a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.derived.lookups.words import parse_keywords
from pairdex.errors import InvalidArgument
from pairdex.search.options import SearchOptions
from pairdex.search.ranking import Ranked
from pairdex.search.report import SearchMethod, SearchReport
from pairdex.search.sorting import SortKeys, SortOrders, first_rows
from pairdex.store.store import Store

__all__ = ["Browse", "browse", "choose"]


class Browse:
    """Rows in a stable order that needs no query. Distances are NaN.

    Parameters
    ----------
    allowed
        Shape (rows,), the rows to show.
    after
        The id of a row: show only the rows behind it.
    scores
        The scores of the rows' captions, if they decide the order.
    """

    def __init__(
        self,
        keys: SortKeys,
        allowed: NDArray[np.bool_],
        *,
        after: int | None = None,
        words: tuple[str, ...] = (),
        scores: NDArray[np.float32] | None = None,
    ) -> None:
        self._keys = keys
        self._allowed = allowed
        self._after = after
        self._scores = scores
        method: SearchMethod = "keywords" if words else "browse"
        total = int(np.count_nonzero(allowed))
        self._report = SearchReport.without_vectors(method, words, total=total)

    def first(self, count: int) -> Ranked:
        """Return up to `count` rows."""
        ids = first_rows(self._keys, self._allowed, count + 1, self._after)
        more, ids = len(ids) > count, ids[:count]
        report = replace(self._report, next=int(ids[-1]) if more and len(ids) else None)
        why = {}
        if self._scores is not None:
            why = {"keyword_score": pa.array(self._scores[ids].astype(np.float64))}
        return Ranked(ids, np.full(len(ids), np.nan), report, why)


def browse(
    store: Store, options: SearchOptions, orders: SortOrders, index: Callable[[], KeywordIndex]
) -> Browse:
    """Return the rows that match the keywords and the filter, in the order of `options.sort`.

    Without `sort`, keywords order the rows by BM25, and a filter alone by id. With `sort`, captions must
    contain all of the words.

    Parameters
    ----------
    index
        Returns the keyword index of the captions. Called only if the options have keywords.

    Raises
    ------
    InvalidArgument
        The filter, the keywords or the column is invalid, or `after` is not the id of a row.
    """
    allowed = store.allowed(options.where)
    if allowed is None:
        allowed = np.full(store.rows, True)
    if options.after is not None and not 0 <= options.after < store.rows:
        raise InvalidArgument(
            f"after is {options.after}, expected the `next` of an earlier page", field="after"
        )
    sort = options.sort or "id"
    if options.keywords is None:
        keys = orders.by(sort, descending=options.descending)
        return Browse(keys, allowed, after=options.after)
    keywords = parse_keywords(options.keywords)
    captions = index()
    allowed = allowed & captions.matching(keywords)
    if options.sort is not None:
        keys = orders.by(sort, descending=options.descending)
        allowed &= captions.with_all(keywords.words)
        return Browse(keys, allowed, after=options.after, words=keywords.words)
    scores = captions.scores(keywords)
    return Browse(
        SortKeys(-scores),
        allowed & (scores > 0),
        after=options.after,
        words=keywords.words,
        scores=scores,
    )


def choose(captions: KeywordIndex, asked: str) -> NDArray[np.bool_]:
    """Return a mask, shape (rows,), of the rows that a search with these keywords alone finds.

    Raises
    ------
    InvalidArgument
        The keywords are invalid.
    """
    keywords = parse_keywords(asked)
    return captions.matching(keywords) & (captions.scores(keywords) > 0)
