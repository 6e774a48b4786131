"""What is asked, and the vector to search with: a text, a picture, a row or a vector, minus another text."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from pairdex.distance import normalise
from pairdex.encoders.pictures import open_picture
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.store.store import Kind, Store

__all__ = ["UNLIKE_WEIGHT", "Embeds", "Picture", "Query", "query_vector"]

UNLIKE_WEIGHT = 0.5  # how much of the unwanted direction is taken from the wanted one

Picture = str | Path | bytes | Image


class Embeds(Protocol):
    """What turns texts and pictures into vectors (n, dim) float32 of unit length."""

    def encode_texts(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts."""

    def encode_images(self, images: list[Image]) -> NDArray[np.float32]:
        """Encode pictures."""


@dataclass(frozen=True)
class Query:
    """What is searched for: exactly one of text, image, like (an id) and vector; minus `unlike`."""

    text: str | None = None
    image: Picture | None = None
    like: int | None = None
    vector: NDArray[np.float32] | None = None
    unlike: str | None = None

    def __post_init__(self) -> None:
        given = [
            name for name in ("text", "image", "like", "vector") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise InvalidArgument(
                f"search takes exactly one of text, image, like and vector, got {got}",
                field=given[1] if given else "text",
            )

    @property
    def needs_model(self) -> bool:
        """Whether a model has to encode something of it."""
        return self.text is not None or self.image is not None or self.unlike is not None


def query_vector(
    store: Store, query: Query, encoder: Embeds | None, on: Kind
) -> NDArray[np.float32]:
    """Return the vector to search with, shape (dim,), of unit length.

    `like` takes the row's own vector of the kind that is searched. `unlike` u turns the wanted
    direction q into q - UNLIKE_WEIGHT * u.

    Raises
    ------
    InvalidArgument, Mismatch
        An id out of range, a text or picture that cannot be encoded, a vector of another dimension
        or without a direction.
    """
    vector = normalise(_wanted(store, query, encoder, on))
    if query.unlike is not None:
        assert encoder is not None, "needs_model says so"
        vector = normalise(vector - UNLIKE_WEIGHT * encoder.encode_texts([query.unlike])[0])
    return vector.astype(np.float32)


def _wanted(store: Store, query: Query, encoder: Embeds | None, on: Kind) -> NDArray[np.float32]:
    """Return what is searched for as a vector (dim,) of any length but zero."""
    if query.like is not None:
        store.check_ids(np.array([query.like], np.int64))
        return store.vectors(on)[query.like].astype(np.float32)
    if query.vector is not None:
        return _checked_vector(np.asarray(query.vector, np.float32), store)
    assert encoder is not None, "needs_model says so"
    if query.text is not None:
        encoded = encoder.encode_texts([query.text])
    else:
        assert query.image is not None, "a query has exactly one of them"
        encoded = encoder.encode_images([_opened(query.image)])
    return np.asarray(encoded[0], np.float32)


def _checked_vector(vector: NDArray[np.float32], store: Store) -> NDArray[np.float32]:
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
