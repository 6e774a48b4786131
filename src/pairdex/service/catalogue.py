"""The opened collections that a service offers, by name, and what each can be searched by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from pairdex.collection import Collection
from pairdex.errors import InvalidArgument, PairdexError
from pairdex.service.errors import ApiError
from pairdex.store.store import Kind

__all__ = ["Catalogue", "ServedCollection"]


@dataclass(frozen=True, eq=False)
class ServedCollection:
    """A collection under its name; `examples` are texts to try, where its model is at hand.

    `no_model` says why texts and pictures cannot be searched for, None where they can.
    """

    name: str
    collection: Collection
    examples: tuple[str, ...] = ()
    no_model: str | None = None

    @classmethod
    def of(cls, name: str, collection: Collection) -> ServedCollection:
        """Name a collection, and find out whether its model is at hand."""
        try:
            examples = collection.encoder.model.examples
        except PairdexError as error:
            return cls(name, collection, no_model=str(error))
        return cls(name, collection, examples)

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds of vectors that can be searched, image first."""
        return [kind for kind in get_args(Kind) if kind in self.collection.manifest.vectors]

    @cached_property
    def has_pictures(self) -> bool:
        """Whether some rows have a local picture."""
        known = any(part.pictures for part in self.collection.manifest.parts)
        return known and "image_path" in self.collection.columns

    def describe(self) -> dict[str, Any]:
        """Return what `GET /api/collections` says of it."""
        model = self.collection.model
        return {
            "name": self.name,
            "rows": len(self.collection),
            "removed": self.collection.removed,
            "dim": self.collection.dim,
            "columns": [
                {"name": field.name, "type": str(field.type)} for field in self.collection.schema
            ],
            "vectors": self.kinds,
            "projections": self.collection.projections,
            "queries": ["text", "image", "like", "vector"]
            if self.no_model is None
            else ["like", "vector"],
            "model": None if model is None else {"name": model["name"], "dim": model["dim"]},
            "examples": list(self.examples),
            "pictures": self.has_pictures,
            "safe": self.collection.has_safe_mode,
        }


class Catalogue:
    """The collections of a service; the first is the default.

    Raises
    ------
    InvalidArgument
        There is none.
    """

    def __init__(self, collections: Sequence[Collection]) -> None:
        if not collections:
            raise InvalidArgument("there is nothing to serve; name at least one collection")
        self._served: dict[str, ServedCollection] = {}
        for collection in collections:
            name = _free_name(collection.name, self._served)
            self._served[name] = ServedCollection.of(name, collection)

    def __iter__(self) -> Iterator[ServedCollection]:
        return iter(self._served.values())

    def pick(self, name: str | None, field: str = "collection") -> ServedCollection:
        """Return the collection of that name, or the first.

        Raises
        ------
        ApiError
            404, there is none of that name.
        """
        if name is None:
            return next(iter(self._served.values()))
        if name not in self._served:
            known = ", ".join(self._served)
            raise ApiError(
                404, "not_found", f"there is no collection {name!r}; there is {known}", field
            )
        return self._served[name]

    def replace(self, served: ServedCollection) -> None:
        """Serve another version of the collection of that name from now on."""
        assert served.name in self._served, served.name
        self._served[served.name] = served

    def without_places(self, message: str) -> str:
        """Return a message with the collections' names in the place of their folders."""
        for served in self._served.values():
            message = message.replace(str(served.collection.path), served.name)
        return message


def _free_name(name: str, taken: dict[str, ServedCollection]) -> str:
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if each not in taken)
