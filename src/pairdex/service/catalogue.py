"""The opened collections of a service by name, and whether each can be served now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

from pairdex.collection import Collection
from pairdex.encoders.model import what_it_knows
from pairdex.errors import DamagedFile, InvalidArgument, MissingFile, PairdexError
from pairdex.files import faults
from pairdex.parts.model_record import ModelRecord
from pairdex.service.errors import ApiError
from pairdex.service.examples import example_queries
from pairdex.store.manifest import MANIFEST
from pairdex.store.shard_list import read_any_manifest
from pairdex.store.store import VectorField, check_size

__all__ = ["Catalogue", "Served", "ServedCollection", "opened"]

Served = Collection | str | Path
"""A collection to serve: opened, or its folder."""


def opened(collections: Served | Iterable[Served]) -> list[Collection]:
    """Open the collections that are given as paths.

    Raises
    ------
    InvalidArgument
        There are none, or something else than collections and paths.
    MissingFile, DamagedFile, UnsupportedFormat
        A path has no collection, a damaged one, or one of a newer format version.
    """
    each = [collections] if isinstance(collections, Collection | str | Path) else collections
    if not isinstance(each, Iterable):
        each = [each]
    found = []
    for one in each:
        if not isinstance(one, Collection | str | Path):
            raise InvalidArgument(
                f"collections holds a {type(one).__name__}, expected collections or their folders",
                field="collections",
            )
        found.append(one if isinstance(one, Collection) else Collection.open(one))
    if not found:
        raise InvalidArgument("there is nothing to serve; name at least one collection")
    return found


@dataclass(frozen=True, eq=False)
class ServedCollection:
    """A collection under its name.

    Attributes
    ----------
    no_model
        Why texts and pictures cannot be searched for; None if they can.
    lost_pages
        `faults.count()` before it was opened: if it has grown since, what is read may be zeros.
    """

    name: str
    collection: Collection
    no_model: str | None = None
    lost_pages: int = field(default_factory=faults.count)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, name: str, collection: Collection, *, lost_pages: int | None = None
    ) -> ServedCollection:
        """Name a collection, and find out whether its model is available."""
        lost_pages = faults.count() if lost_pages is None else lost_pages
        no_model = None
        try:
            _ = collection.encoder
        except PairdexError as error:
            no_model = str(error)
        served = cls(name, collection, no_model=no_model, lost_pages=lost_pages)
        _ = served.examples  # now, so that no request waits for it
        return served

    @cached_property
    def kinds(self) -> list[str]:
        """The vectors that can be searched, image first."""
        return [kind for kind in get_args(VectorField) if kind in self.collection.manifest.vectors]

    @property
    def indexes(self) -> list[str]:
        """The vectors that have an approximate index that can be used."""
        has_index = self.collection.finder.searcher.has_index
        return [kind for kind in self.kinds if has_index(cast("VectorField", kind))]

    @cached_property
    def has_pictures(self) -> bool:
        """Whether some rows have a local picture."""
        known = any(part.pictures for part in self.collection.manifest.parts)
        return known and "image_path" in self.collection.columns

    @property
    def examples(self) -> list[str]:
        """Captions to search for. They are chosen again when rows are removed."""
        checksum = self.collection.checksum
        if checksum not in self._examples:
            try:
                found = example_queries(self.collection)
            except PairdexError:  # damaged captions: whatever reads them for more says so
                found = []
            self._examples.clear()
            self._examples[checksum] = found
            return found
        return self._examples[checksum]

    def check(self) -> None:
        """Raise if the collection cannot be served now; quick enough for every request.

        Raises
        ------
        MissingFile
            Its folder has gone, or the file that names removed rows.
        DamagedFile
            That file is damaged; or a mapped file was cut short, and all is opened again before
            anything else is read.
        """
        if self.lost_pages != faults.count():
            raise DamagedFile(
                f"a file of {self.name} was cut short, or its disk failed, while it was read; "
                "it is being opened again"
            )
        if not os.path.exists(f"{self.collection.path}{os.sep}{MANIFEST}"):  # noqa: PTH110
            raise MissingFile(f"{self.name} was moved or deleted: it has no {MANIFEST} any more")
        _ = self.collection.live

    def check_files(self) -> None:
        """Raise if a file of this version is missing or has another size.

        Files that a newer version does without may have gone.

        Raises
        ------
        PairdexError
            What is wrong.
        """
        manifest, path = self.collection.manifest, self.collection.path
        try:
            for file in manifest.files():
                check_size(path / file.path, file.bytes)
        except (MissingFile, DamagedFile):
            if read_any_manifest(path).checksum == manifest.checksum:
                raise

    def describe(self) -> dict[str, Any]:
        """Return its entry in `GET /api/collections`."""
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
            "indexes": self.indexes,
            "projections": self.collection.projections,
            "queries": ["text", "image", "like", "vector"]
            if self.no_model is None
            else ["like", "vector"],
            "model": None if model is None else _described(model),
            "examples": self.examples,
            "captions": self.collection.finder.captions.exist,
            "pictures": self.has_pictures,
            "safe": self.collection.has_safe_mode,
        }


def _described(model: ModelRecord) -> dict[str, Any]:
    return {
        "name": model["name"],
        "dim": model["dim"],
        "knows": what_it_knows(model) or None,
    }


class Catalogue:
    """The collections of a service, at least one; the first is the default."""

    def __init__(self, collections: Sequence[Collection]) -> None:
        self._served: dict[str, ServedCollection] = {}
        self._troubles: dict[str, PairdexError] = {}
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
            404, the name is unknown; 503, its files are missing or damaged.
        """
        if name is None:
            name = next(iter(self._served))
        if name not in self._served:
            known = ", ".join(self._served)
            raise ApiError(
                404,
                "not_found",
                f"the collection {name!r} does not exist; available: {known}",
                field,
            )
        trouble = self.trouble(name)
        if trouble is not None:
            raise _unavailable(trouble)
        return self._served[name]

    def available(self) -> list[ServedCollection]:
        """Return the collections that can be served now.

        Raises
        ------
        ApiError
            503, none of them can.
        """
        troubles = {name: self.trouble(name) for name in self._served}
        found = [self._served[name] for name, trouble in troubles.items() if trouble is None]
        if not found:
            raise _unavailable(next(filter(None, troubles.values())))
        return found

    def trouble(self, name: str) -> PairdexError | None:
        """Return why the collection of that name cannot be served now; None if it can."""
        try:
            self._served[name].check()
        except PairdexError as error:
            return error
        return self._troubles.get(name)

    def set_trouble(self, name: str, error: PairdexError | None) -> None:
        """Serve the collection of that name no longer, or again if `error` is None."""
        if error is None:
            self._troubles.pop(name, None)
        else:
            self._troubles[name] = error

    def replace(self, served: ServedCollection) -> None:
        """Replace a collection by another version of the same name."""
        assert served.name in self._served, served.name
        self._served[served.name] = served

    def without_places(self, message: str) -> str:
        """Return a message with the collections' names instead of their folders."""
        for served in self._served.values():
            message = message.replace(str(served.collection.path), served.name)
        return message


def _unavailable(error: PairdexError) -> ApiError:
    return ApiError(503, error.code, str(error), headers={"Retry-After": "1"})


def _free_name(name: str, taken: dict[str, ServedCollection]) -> str:
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if each not in taken)
