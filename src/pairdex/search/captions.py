"""The keyword index of a collection's captions, opened or built on first use."""

from __future__ import annotations

import logging
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from pairdex.derived.lookups.keywords import KEYWORDS, KeywordIndex
from pairdex.derived.lookups.parts import made_parts
from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.progress import Progress, at_step
from pairdex.search.caption_words import caption_words
from pairdex.store.store import Store

__all__ = ["AT_ONCE_ROWS", "NOT_YET", "Captions"]

AT_ONCE_ROWS = 50_000  # captions that are indexed within a request: a quarter of a second

NOT_YET = (
    "captions are not indexed yet, so vectors alone answered; pairdex index, or the first pairdex "
    "search --keywords, indexes them"
)

_logger = logging.getLogger(__name__)


class Captions:
    """The captions of a collection: thread-safe, one index for all searches.

    Parameters
    ----------
    writes
        Write the index when it is built. Otherwise it stays in memory, and a search for a text does not
        build the index of a large collection.
    """

    def __init__(self, store: Store, *, writes: bool) -> None:
        self._store = store
        self._writes = writes
        self._index: KeywordIndex | None = None
        self._indexing = Lock()
        self._complained = False

    def index(self, progress: Progress | None = None) -> KeywordIndex:
        """Return the index, built if needed; raises like `KeywordIndex`."""
        with self._indexing:
            if self._index is None:
                step = at_step(progress, "indexing captions")
                self._index = KeywordIndex(self._store, progress=step, write=self._writes)
            return self._index

    @property
    def exist(self) -> bool:
        """Whether the collection has captions."""
        return KEYWORDS.column in self._store.schema.names

    @property
    def are_ready(self) -> bool:
        """Whether `index` returns at once: the index is open, or the collection is small."""
        return self._index is not None or self._store.rows <= AT_ONCE_ROWS

    @property
    def _are_made(self) -> bool:
        return len(made_parts(self._store, KEYWORDS)) == len(self._store.manifest.parts)

    def words_of(self, text: str) -> tuple[tuple[str, ...], str | None]:
        """Return the words of a text that choose captions, and what kept others from being looked up.

        A damaged index is reported in the second value, since the search can do without it.
        """
        if not self.exist:
            return (), None
        try:
            if not (self._writes or self.are_ready or self._are_made):
                return (), NOT_YET
            return caption_words(self.index(), text), None
        except (DamagedFile, UnsupportedFormat) as error:
            note = f"vectors alone answered: {error}"
            if not self._complained:
                _logger.warning("%s", note)
            self._complained = True
            return (), note

    def among(self, words: tuple[str, ...], allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Return a mask, shape (rows,), of the allowed rows whose captions contain all of the words."""
        mask = self.index().with_all(words)
        return mask if allowed is None else mask & allowed
