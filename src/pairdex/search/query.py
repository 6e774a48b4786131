"""Queries of texts, pictures, rows and vectors, and the query vector made from them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL.Image import Image

from pairdex.arguments import as_array, checked_class
from pairdex.encoders.pictures import open_picture
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.knn.distance import normalise
from pairdex.search.combine import combine
from pairdex.store.store import Store, VectorField

__all__ = [
    "MAX_TERMS",
    "MAX_WEIGHT",
    "UNLIKE_WEIGHT",
    "EncodedTexts",
    "Picture",
    "Query",
    "Term",
    "TextImageEncoder",
    "query_vector",
]

UNLIKE_WEIGHT = 0.5  # share of the unwanted direction to subtract
MAX_TERMS = 16  # more terms cannot be balanced by hand
MAX_WEIGHT = 1_000.0  # per term; a larger weight would drown the other terms

Picture = str | os.PathLike[str] | bytes | Image

_KINDS = ("text", "image", "like", "vector")


class TextImageEncoder(Protocol):
    """Encodes texts and pictures as unit vectors (n, dim) float32."""

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts."""

    def encode_images(self, images: list[Image]) -> NDArray[np.float32]:
        """Encode pictures."""


class EncodedTexts:
    """An encoder that caches the vectors of some texts.

    Parameters
    ----------
    encoder
        Encodes the texts in one batch, and all other inputs on demand.
    """

    def __init__(self, encoder: TextImageEncoder, texts: Sequence[str]) -> None:
        self._encoder = encoder
        self._vectors = dict(zip(texts, encoder.encode_texts(list(texts)), strict=True))

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the cached vectors of texts."""
        return np.stack([self._vectors[text] for text in texts])

    def encode_images(self, images: list[Image]) -> NDArray[np.float32]:
        """Encode pictures."""
        return self._encoder.encode_images(images)


@checked_class
@dataclass(frozen=True)
class Term:
    """One weighted term: exactly one of text, image, like (an id) and vector.

    A negative `weight` moves results away from the term. Only the ratios of the weights matter.
    """

    text: str | None = None
    image: Picture | None = None
    like: int | None = None
    vector: ArrayLike | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_one("a term", [name for name in _KINDS if getattr(self, name) is not None], _KINDS)
        if not (math.isfinite(self.weight) and 0 < abs(self.weight) <= MAX_WEIGHT):
            raise InvalidArgument(
                f"the weight of a term is {self.weight:g}, expected a number from "
                f"{-MAX_WEIGHT:g} to {MAX_WEIGHT:g} that is not 0",
                field="weight",
            )

    @property
    def needs_model(self) -> bool:
        """True if a model must encode the term."""
        return self.text is not None or self.image is not None


@checked_class
@dataclass(frozen=True)
class Query:
    """A query: exactly one of text, image, like, vector and terms, minus `unlike`."""

    text: str | None = None
    image: Picture | None = None
    like: int | None = None
    vector: ArrayLike | None = None
    unlike: str | None = None
    terms: Sequence[Term] | None = None

    def __post_init__(self) -> None:
        kinds = (*_KINDS, "terms")
        _check_one("search", [name for name in kinds if getattr(self, name) is not None], kinds)
        if self.terms is not None:
            _check_terms(self.terms)

    @property
    def parts(self) -> tuple[Term, ...]:
        """The whole query as terms; `unlike` becomes a minus term."""
        wanted = self.terms
        if wanted is None:
            wanted = [Term(self.text, self.image, self.like, self.vector)]
        unwanted = [] if self.unlike is None else [Term(self.unlike, weight=-UNLIKE_WEIGHT)]
        return (*wanted, *unwanted)

    @property
    def needs_model(self) -> bool:
        """True if a model must encode any term."""
        return any(term.needs_model for term in self.parts)

    @property
    def texts(self) -> list[str]:
        """The texts that a model must encode."""
        return [term.text for term in self.parts if term.text is not None]

    @property
    def only_text(self) -> str | None:
        """The text of a query that is one text and nothing else."""
        return self.text if self.unlike is None else None

    @property
    def rows(self) -> NDArray[np.int64]:
        """The ids that the query names. Results leave them out."""
        return np.array([term.like for term in self.parts if term.like is not None], np.int64)


def query_vector(
    store: Store, query: Query, encoder: TextImageEncoder | None, on: VectorField
) -> NDArray[np.float32]:
    """Return the query vector, shape (dim,), of length 1 if searches compare cosines.

    `like` uses the row's stored vector of the searched kind. `combine` combines several terms. For inner
    products vectors keep their lengths, and several terms are summed, so that their products are.

    Raises
    ------
    InvalidArgument, Mismatch
        An id is out of range, a text or picture cannot be encoded, a vector has another dimension
        or zero length, or the terms cancel each other out.
    """
    terms = query.parts
    if store.metric == "ip":
        return _weighted_sum(terms, _encoded(store, terms, encoder, on))
    vectors = [normalise(row) for row in _encoded(store, terms, encoder, on)]
    weights = np.array([term.weight for term in terms])
    direction = vectors[0] if len(terms) == 1 else combine(np.stack(vectors), weights)
    return direction.astype(np.float32)


def _weighted_sum(
    terms: Sequence[Term], vectors: Iterable[NDArray[np.float32]]
) -> NDArray[np.float32]:
    wide = [np.asarray(vector, np.float64) for vector in vectors]
    if len(wide) == 1:
        return wide[0].astype(np.float32)
    weighted = [term.weight * vector for term, vector in zip(terms, wide, strict=True)]
    total = np.asarray(np.sum(weighted, axis=0), np.float32)
    if not total.any():
        raise InvalidArgument(
            "the terms cancel each other out: nothing is left of them; change their weights",
            field="terms",
        )
    return total


def _check_one(what: str, given: list[str], kinds: Sequence[str]) -> None:
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        expected = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
        if what == "search" and not given:
            expected += ", or keywords, where or sort alone"
        raise InvalidArgument(
            f"{what} takes exactly one of {expected}, got {got}",
            field=given[1] if given else "text",
        )


def _check_terms(terms: Sequence[Term]) -> None:
    if not 1 <= len(terms) <= MAX_TERMS:
        raise InvalidArgument(
            f"a search has {len(terms):,} terms, expected 1 to {MAX_TERMS}", field="terms"
        )
    if all(term.weight < 0 for term in terms):
        raise InvalidArgument(
            "every term has a negative weight; at least one has to say what is wanted",
            field="terms",
        )


def _encoded(
    store: Store, terms: Sequence[Term], encoder: TextImageEncoder | None, on: VectorField
) -> Iterable[NDArray[np.float32]]:
    """Yield the nonzero vector (dim,) of each term. Encode all texts in one batch."""
    texts = [term.text for term in terms if term.text is not None]
    encoded = iter(_texts(encoder, texts) if texts else ())
    for term in terms:
        yield next(encoded) if term.text is not None else _vector(store, term, encoder, on)


def _texts(encoder: TextImageEncoder | None, texts: list[str]) -> NDArray[np.float32]:
    assert encoder is not None, "needs_model says so"
    return np.asarray(encoder.encode_texts(texts), np.float32)


def _vector(
    store: Store, term: Term, encoder: TextImageEncoder | None, on: VectorField
) -> NDArray[np.float32]:
    if term.like is not None:
        store.check_ids(np.array([term.like], np.int64))
        return store.vectors(on)[term.like].astype(np.float32)
    if term.vector is not None:
        return _checked_vector(term.vector, store)
    assert encoder is not None, "needs_model says so"
    assert term.image is not None, "a term has exactly one of them"
    return np.asarray(encoder.encode_images([_opened(term.image)])[0], np.float32)


def _checked_vector(given: ArrayLike, store: Store) -> NDArray[np.float32]:
    array = as_array(given, field="vector")
    if array.dtype.kind not in "fiu":
        raise InvalidArgument(f"vector is {array.dtype}, expected real numbers", field="vector")
    with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused
        vector = array.astype(np.float32)
    if vector.shape != (store.dim,):
        raise Mismatch(
            f"the query vector has shape {vector.shape}, expected ({store.dim},), "
            f"as the vectors of {store.path}"
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise InvalidArgument("the query vector is zero or not finite", field="vector")
    return vector


def _opened(picture: Picture) -> Image:
    if isinstance(picture, Image):
        return picture
    return open_picture(BytesIO(picture) if isinstance(picture, bytes) else Path(picture))
