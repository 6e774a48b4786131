"""What is asked, and the vector to search with: texts, pictures, rows and vectors, with and against each other."""

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

UNLIKE_WEIGHT = 0.5  # how much of the unwanted direction is taken from the wanted one
MAX_TERMS = 16  # more than that nobody can weigh against each other
MAX_WEIGHT = 1_000.0  # of a term: beside a larger one nothing is left of the others

Picture = str | os.PathLike[str] | bytes | Image

_KINDS = ("text", "image", "like", "vector")


class TextImageEncoder(Protocol):
    """What turns texts and pictures into vectors (n, dim) float32 of unit length."""

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts."""

    def encode_images(self, images: list[Image]) -> NDArray[np.float32]:
        """Encode pictures."""


class EncodedTexts:
    """An encoder of pictures that knows the vectors of some texts already.

    Parameters
    ----------
    encoder
        Encodes the texts, all at once, and whatever else is asked.
    """

    def __init__(self, encoder: TextImageEncoder, texts: Sequence[str]) -> None:
        self._encoder = encoder
        self._vectors = dict(zip(texts, encoder.encode_texts(list(texts)), strict=True))

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of texts that are known."""
        return np.stack([self._vectors[text] for text in texts])

    def encode_images(self, images: list[Image]) -> NDArray[np.float32]:
        """Encode pictures."""
        return self._encoder.encode_images(images)


@checked_class
@dataclass(frozen=True)
class Term:
    """One of several things that are searched for: exactly one of text, image, like (an id) and vector.

    A negative `weight` keeps away from it. Only the weights' proportions matter.
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
        """Whether a model has to encode it."""
        return self.text is not None or self.image is not None


@checked_class
@dataclass(frozen=True)
class Query:
    """What is searched for: exactly one of text, image, like, vector and terms; minus `unlike`."""

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
        """All that is asked as terms; `unlike` is a minus term."""
        wanted = self.terms
        if wanted is None:
            wanted = [Term(self.text, self.image, self.like, self.vector)]
        unwanted = [] if self.unlike is None else [Term(self.unlike, weight=-UNLIKE_WEIGHT)]
        return (*wanted, *unwanted)

    @property
    def needs_model(self) -> bool:
        """Whether a model has to encode something of it."""
        return any(term.needs_model for term in self.parts)

    @property
    def texts(self) -> list[str]:
        """The texts that a model has to encode."""
        return [term.text for term in self.parts if term.text is not None]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The ids that it names, which are not to be found."""
        return np.array([term.like for term in self.parts if term.like is not None], np.int64)


def query_vector(
    store: Store, query: Query, encoder: TextImageEncoder | None, on: VectorField
) -> NDArray[np.float32]:
    """Return the vector to search with, shape (dim,), of unit length.

    `like` takes the row's own vector of the kind that is searched. Several terms are combined as
    `combine` says.

    Raises
    ------
    InvalidArgument, Mismatch
        An id out of range, a text or picture that cannot be encoded, a vector of another dimension
        or without a direction, terms that cancel each other out.
    """
    terms = query.parts
    vectors = [normalise(row) for row in _encoded(store, terms, encoder, on)]
    weights = np.array([term.weight for term in terms])
    direction = vectors[0] if len(terms) == 1 else combine(np.stack(vectors), weights)
    return direction.astype(np.float32)


def _check_one(what: str, given: list[str], kinds: Sequence[str]) -> None:
    if len(given) != 1:
        got = " and ".join(given) or "none of them"
        expected = f"{', '.join(kinds[:-1])} and {kinds[-1]}"
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
    """Yield the vector (dim,) of each term, of any length but zero; the texts are encoded together."""
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
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused
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
