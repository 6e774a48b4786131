"""The words of a text that captions contain, and the fusion of those captions' rows with the nearest rows.

A text search is fused only if some captions contain all of its words. The ranking by words holds these
captions, nearest first. So where the model knows the words, both rankings begin alike and the fusion
changes little; where it does not, the captions decide. `docs/keywords.md` has measurements.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.lookups.keywords import KeywordIndex
from pairdex.derived.lookups.words import MAX_KEYWORDS, words_in
from pairdex.knn import cosine
from pairdex.search.hybrid import Fused, ranks_of, scores_of

__all__ = ["MAX_COMPARED", "caption_words", "fuse_captions"]

MAX_COMPARED = 50_000  # captions to rank; words in more captions add nothing to vectors but cost
COMMON = 0.2  # share of the captions that have a word, above which it chooses nothing

# Words that say nothing of a picture alone, or that only name it as a picture.
_FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "over",
        "that",
        "the",
        "their",
        "there",
        "these",
        "this",
        "to",
        "under",
        "was",
        "with",
        "image",
        "images",
        "photo",
        "photograph",
        "photos",
        "picture",
        "pictures",
    ]
)

NearestAmong = Callable[[int, "NDArray[np.bool_]"], cosine.Neighbours]
"""Returns the n nearest rows (1, n) among flagged rows."""


def caption_words(index: KeywordIndex, text: str) -> tuple[str, ...]:
    """Return the words of a text that choose captions; empty unless some caption contains all of them.

    Function words are left out, and words of more than a fifth of the captions if others remain.
    """
    words = [word for word in dict.fromkeys(words_in(text)) if word not in _FUNCTION_WORDS]
    if not 0 < len(words) <= MAX_KEYWORDS:
        return ()
    shares = [index.share_with(word) for word in words]
    if min(shares) == 0:
        return ()
    rare = tuple(word for word, share in zip(words, shares, strict=True) if share <= COMMON)
    chosen = rare or tuple(words)
    return chosen if len(chosen) == 1 or index.have_all(chosen) else ()


def fuse_captions(
    near: NDArray[np.int64],
    distances: NDArray[np.float64],
    among: NDArray[np.bool_],
    nearest_among: NearestAmong,
    count: int,
) -> tuple[Fused, NDArray[np.float64]]:
    """Fuse the nearest rows with the rows of captions that contain the words.

    Every row's score is independent of `count`, so pages of any size fit together: vector ranks beyond
    VECTOR_DEPTH add nothing to rows that the words found.

    Parameters
    ----------
    near, distances
        The nearest rows, shape (n,), n at least max(VECTOR_DEPTH, count) if that many exist.
    among
        Shape (rows,), the rows that may be found and whose captions contain the words.

    Returns
    -------
    Fused, distances
        Up to `count` rows, and their distances. Equal scores: rows that the words found come first, then
        nearer ones.
    """
    said, said_distances, missing = _said(near, distances, among, nearest_among, count)
    ids, places = np.unique(np.concatenate([near, said]), return_index=True)
    known = np.concatenate([distances, said_distances])[places]
    vector, keyword = ranks_of(ids, near, said)
    scores = scores_of(vector) + scores_of(keyword)
    order = np.lexsort([ids, known, keyword == 0, -scores])[:count]
    fused = Fused(ids[order], scores[order], vector[order], keyword[order], missing)
    return fused, known[order]


def _said(
    near: NDArray[np.int64],
    distances: NDArray[np.float64],
    among: NDArray[np.bool_],
    nearest_among: NearestAmong,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[str, ...]]:
    """Return the rows that the words found, nearest first, with their distances; and missing shards."""
    if np.count_nonzero(among) > MAX_COMPARED:
        inside = among[near]
        return near[inside], distances[inside], ()
    found = nearest_among(count, among)
    exists = found.ids[0] >= 0
    return found.ids[0, exists], found.distances[0, exists], found.report.missing
