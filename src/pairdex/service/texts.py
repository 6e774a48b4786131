"""What searches need of their texts: vectors, and words that choose captions; made in batches and kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pairdex.encoders.text import check_text
from pairdex.errors import InvalidArgument
from pairdex.search.captions import Captions
from pairdex.service import limits
from pairdex.service.batches import Batches
from pairdex.service.catalogue import ServedCollection
from pairdex.service.metrics import Metrics
from pairdex.service.workers import Workers

__all__ = ["BEING_INDEXED", "ReadText", "Texts"]

BEING_INDEXED = "captions are being indexed, so vectors alone answered; search again in a while"


@dataclass(frozen=True, eq=False)
class ReadText:
    """A text as a search needs it.

    Attributes
    ----------
    vector
        The vector of the text, shape (dim,).
    words
        The words that choose captions; None if they were not looked up.
    note
        Why words could not be looked up.
    """

    vector: NDArray[np.float32]
    words: tuple[str, ...] | None = None
    note: str | None = None


@dataclass(frozen=True, eq=False)
class _Asked:
    """A text of a batch, and what is known of it."""

    text: str
    known: ReadText | None
    wants_words: bool


class Texts:
    """Reads texts: those that arrive at the same time in one batch, and each but once while it is kept."""

    def __init__(self, workers: Workers, metrics: Metrics) -> None:
        self._workers = workers
        self._metrics = metrics
        self._reading: dict[ServedCollection, Batches[_Asked, ReadText]] = {}
        self._kept: OrderedDict[tuple[ServedCollection, str], ReadText] = OrderedDict()

    async def read(
        self, served: ServedCollection, text: str, field: str, *, wants_words: bool
    ) -> ReadText:
        """Return the vector of a text, and its words if they are wanted; never wait for captions to be indexed.

        Raises
        ------
        InvalidArgument
            The text is empty, too long or invalid; the error names `field`.
        ApiError
            503, the time limit has passed.
        """
        try:
            check_text(text)
        except InvalidArgument as error:
            raise InvalidArgument(str(error), field=field) from error
        wants_words = wants_words and served.collection.finder.captions.exist
        known = self._kept.get((served, text))
        self._metrics.cache("text", hit=known is not None)
        if known is not None:
            self._kept.move_to_end((served, text))
            if known.words is not None or not wants_words:
                return known
        found = await self._batches(served).run(_Asked(text, known, wants_words))
        self._kept[served, text] = replace(found, note=None)  # what is noted may soon be over
        while len(self._kept) > limits.KEPT_TEXTS:
            self._kept.popitem(last=False)
        return found

    def _batches(self, served: ServedCollection) -> Batches[_Asked, ReadText]:
        batches = self._reading.get(served)
        if batches is None:
            batches = self._reading[served] = Batches(
                "encode",
                partial(self._read_all, served),
                pool=self._workers.pool,
                metrics=self._metrics,
                max_items=limits.MAX_BATCH,
            )
        return batches

    def _read_all(self, served: ServedCollection, batch: list[_Asked]) -> list[ReadText]:
        started = time.perf_counter()
        unknown = list(dict.fromkeys(one.text for one in batch if one.known is None))
        vectors = served.collection.encoder.encode_texts(unknown) if unknown else ()
        self._metrics.stage("encode", time.perf_counter() - started)
        new = dict(zip(unknown, vectors, strict=True))
        captions = served.collection.finder.captions
        return [_with_words(captions, one, one.known or ReadText(new[one.text])) for one in batch]

    def keep_only(self, served: set[ServedCollection]) -> None:
        """Drop what belongs to replaced versions; batches in progress finish."""
        self._reading = {key: each for key, each in self._reading.items() if key in served}
        for each in [key for key in self._kept if key[0] not in served]:
            del self._kept[each]


def _with_words(captions: Captions, asked: _Asked, read: ReadText) -> ReadText:
    if not asked.wants_words:
        return read
    if not captions.are_ready:
        return replace(read, note=BEING_INDEXED)
    words, note = captions.words_of(asked.text)
    return replace(read, words=words if note is None else None, note=note)
