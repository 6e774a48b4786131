"""Keyword search in captions: an inverted index with word positions, ranked by BM25.

A part has one posting for each word of each caption: the row and the position in it. Postings are ordered
by word, row and position. BM25 follows Robertson and Zaragoza, The Probabilistic Relevance Framework:
BM25 and Beyond (2009), with the idf of Lucene, which is never negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pairdex.derived.lookups.parts import Lookup, have_arrays
from pairdex.derived.lookups.words import Keywords, split_words
from pairdex.files.array_files import Arrays
from pairdex.progress import StepProgress
from pairdex.store.store import Store

__all__ = ["K1", "KEYWORDS", "MAX_WORDS", "B", "KeywordIndex"]

K1 = 1.2  # how fast repetitions of a word stop adding to the score
B = 0.75  # how much long captions are penalised
_KEPT_WORDS = 1_000  # whose postings are not searched again, in each part
MAX_WORDS = 65_000  # indexed words per caption: positions are uint16, minus a margin for phrases


class KeywordIndex:
    """The keyword index of one version of a collection; missing parts of it are built.

    Parameters
    ----------
    write
        Write the parts that are built; otherwise they stay in memory.

    Raises
    ------
    InvalidArgument
        The collection has no column `caption`.
    DamagedFile, UnsupportedFormat
        A file of the index is damaged, or has another format version.
    """

    def __init__(
        self, store: Store, *, progress: StepProgress | None = None, write: bool = True
    ) -> None:
        self._rows = store.rows
        arrays = have_arrays(store, KEYWORDS, progress=progress, write=write)
        self._parts = [_Part(each, store.first_id(index)) for index, each in enumerate(arrays)]
        total = sum(int(part.lengths.sum(dtype=np.int64)) for part in self._parts)
        self._mean_words = total / max(self._rows, 1) or 1.0

    def matching(self, keywords: Keywords) -> NDArray[np.bool_]:
        """Return a mask, shape (rows,), of rows with all phrases and without excluded words or phrases."""
        mask = np.full(self._rows, True)
        for part in self._parts:
            inside = mask[part.first : part.first + len(part.lengths)]
            for phrase in keywords.phrases:
                has_it = np.zeros(len(inside), np.bool_)
                has_it[part.rows_of(phrase)] = True
                inside &= has_it
            for phrase in keywords.excluded:
                inside[part.rows_of(phrase)] = False
        return mask

    def share_with(self, word: str) -> float:
        """Return the share of the rows that contain a word."""
        return sum(len(part.rows_with(word)) for part in self._parts) / max(self._rows, 1)

    def have_all(self, words: Sequence[str]) -> bool:
        """Return whether some row contains all of the words."""
        return any(len(part.rows_with_all(words)) for part in self._parts)

    def with_all(self, words: Sequence[str]) -> NDArray[np.bool_]:
        """Return a mask, shape (rows,), of rows that contain all of the words."""
        mask = np.zeros(self._rows, np.bool_)
        for part in self._parts:
            mask[part.first + part.rows_with_all(words)] = True
        return mask

    def rank(
        self, keywords: Keywords, count: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Return the ids, shape (n,), of the allowed rows with the `count` best scores.

        Rows are ordered by descending BM25, equal scores by ascending id. Rows without any of the words
        are left out, so n may be less than `count`.
        """
        scores = self.scores(keywords)
        if allowed is not None:
            scores[~allowed] = 0
        ids = np.flatnonzero(scores)
        if len(ids) > count:
            least = np.partition(scores[ids], len(ids) - count)[-count]
            ids = ids[scores[ids] >= least]
        order = np.argsort(-scores[ids], kind="stable")[:count]
        return ids[order].astype(np.int64)

    def scores(self, keywords: Keywords) -> NDArray[np.float32]:
        """Return the BM25 score of every row, shape (rows,); 0 for rows without any of the words."""
        scores = np.zeros(self._rows, np.float32)
        for word in keywords.words:
            counts = [part.counts_of(word) for part in self._parts]
            n_with = sum(len(rows) for rows, _ in counts)
            idf = np.log(1 + (self._rows - n_with + 0.5) / (n_with + 0.5))
            for part, (rows, times) in zip(self._parts, counts, strict=True):
                length_norm = 1 - B + B * part.lengths[rows] / self._mean_words
                scores[part.first + rows] += idf * times * (K1 + 1) / (times + K1 * length_norm)
        return scores


class _Part:
    """The postings of one part; its rows are numbered from 0."""

    def __init__(self, arrays: Arrays, first: int) -> None:
        self.first = first
        self.lengths = arrays["length"]
        self._letters = arrays["letters"]
        self._letter_ends = arrays["letter_end"]
        self._posting_ends = arrays["posting_end"]
        self._rows = arrays["row"]
        self._places = arrays["place"]
        self._known: dict[str, slice] = {}  # postings by word, in the order of being looked up

    def counts_of(self, word: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the rows that contain a word, ascending, and its number of occurrences in each."""
        rows = self._rows[self._postings(word)]
        starts = _starts(rows)
        return rows[starts].astype(np.int64), np.diff(starts, append=len(rows)).astype(np.float64)

    def rows_with(self, word: str) -> NDArray[Any]:
        """Return the rows that contain a word, ascending."""
        rows = self._rows[self._postings(word)]
        return rows[_starts(rows)]

    def rows_with_all(self, words: Sequence[str]) -> NDArray[Any]:
        """Return the rows that contain all of the words, ascending; all rows if there is none."""
        if not words:
            return np.arange(len(self.lengths))
        rarest, *others = sorted((self.rows_with(word) for word in words), key=len)
        for rows in others:
            if not len(rarest):
                break
            places = np.minimum(np.searchsorted(rows, rarest), len(rows) - 1)
            rarest = rarest[rows[places] == rarest]
        return rarest

    def rows_of(self, phrase: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the rows that contain these words consecutively, ascending."""
        starts = [self._occurrences(word) - place for place, word in enumerate(phrase)]
        together = reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), starts)
        return np.unique(together >> 16)

    def _occurrences(self, word: str) -> NDArray[np.int64]:
        """Return one number for each occurrence of a word: row x 2**16 + position.

        Subtracting from the first position of a row gives a position in the row before that exceeds
        MAX_WORDS, which no word has.
        """
        postings = self._postings(word)
        return (self._rows[postings].astype(np.int64) << 16) | self._places[postings]

    def _postings(self, word: str) -> slice:
        found = self._known.get(word)
        if found is None:
            found = self._known[word] = self._searched(word)
            while len(self._known) > _KEPT_WORDS:
                self._known.pop(next(iter(self._known)), None)
        return found

    def _searched(self, word: str) -> slice:
        wanted = word.encode()
        low, high = 0, len(self._letter_ends)
        while low < high:
            middle = (low + high) // 2
            if self._word(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        if low == len(self._letter_ends) or self._word(low) != wanted:
            return slice(0, 0)
        return slice(int(self._posting_ends[low - 1]) if low else 0, int(self._posting_ends[low]))

    def _word(self, number: int) -> bytes:
        start = int(self._letter_ends[number - 1]) if number else 0
        return self._letters[start : int(self._letter_ends[number])].tobytes()


def _starts(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Return the places where each row of ascending postings begins."""
    if not len(rows):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))


def _make(columns: list[pa.ChunkedArray]) -> Arrays:
    """Return the postings of a part's captions, given in several columns."""
    numbers: dict[str, int] = {}
    codes, rows, places, lengths, first = [], [], [], [], 0
    for column in columns:
        for chunk in column.chunks:
            words, chunk_rows, chunk_positions = _split(chunk)
            encoded = words.dictionary_encode()
            known = [
                numbers.setdefault(word, len(numbers)) for word in encoded.dictionary.to_pylist()
            ]
            codes.append(np.array(known, np.uint32)[encoded.indices.to_numpy()])
            lengths.append(np.bincount(chunk_rows, minlength=len(chunk)).astype(np.uint16))
            rows.append((chunk_rows + first).astype(np.uint32))
            places.append(chunk_positions)
            first += len(chunk)
    return _sorted(numbers, codes, rows, places, lengths)


def _split(
    captions: pa.Array,
) -> tuple[pa.Array, NDArray[np.int64], NDArray[np.uint16]]:
    """Return the words of all captions in order, with the row and the position of each."""
    split = split_words(captions.fill_null(""))
    words, rows = split.flatten(), pc.list_parent_indices(split).to_numpy()
    is_word = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
    rows = rows[is_word].astype(np.int64)
    starts = np.searchsorted(rows, rows)
    places = np.arange(len(rows)) - starts
    fits = places < MAX_WORDS
    kept = words.filter(pa.array(is_word)).filter(pa.array(fits))
    return kept, rows[fits], places[fits].astype(np.uint16)


def _sorted(
    numbers: dict[str, int],
    codes: list[NDArray[np.uint32]],
    rows: list[NDArray[np.uint32]],
    places: list[NDArray[np.uint16]],
    lengths: list[NDArray[np.uint16]],
) -> Arrays:
    """Return the postings ordered by word; a word's postings stay ordered by row and position."""
    spelled = [word.encode() for word in numbers]
    order = sorted(range(len(spelled)), key=spelled.__getitem__)
    rank = np.empty(len(spelled), np.uint32)
    rank[order] = np.arange(len(spelled), dtype=np.uint32)
    ranked = rank[np.concatenate([np.empty(0, np.uint32), *codes])]
    by_word = np.argsort(ranked, kind="stable")
    in_order = [spelled[number] for number in order]
    return {
        "letters": np.frombuffer(b"".join(in_order), np.uint8),
        "letter_end": np.cumsum([len(word) for word in in_order], dtype=np.int64),
        "posting_end": np.cumsum(np.bincount(ranked, minlength=len(spelled)), dtype=np.int64),
        "row": np.concatenate([np.empty(0, np.uint32), *rows])[by_word],
        "place": np.concatenate([np.empty(0, np.uint16), *places])[by_word],
        "length": np.concatenate([np.empty(0, np.uint16), *lengths]),
    }


def _fits(arrays: Arrays, rows: int) -> bool:
    ends = {"letter_end": "letters", "posting_end": "row"}
    return (
        len(arrays["letter_end"]) == len(arrays["posting_end"])
        and len(arrays["row"]) == len(arrays["place"])
        and len(arrays["length"]) == rows
        and all(arrays[end][-1:].sum() == len(arrays[of]) for end, of in ends.items())
    )


KEYWORDS = Lookup("keywords", 1, "caption", _make, _fits)
