"""Add pictures to a collection: encode and build one part at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pairdex.encoders.columns import TAKEN, JsonColumns, Texts
from pairdex.encoders.decoding import Decoder, Failure
from pairdex.encoders.encoder import Encoder
from pairdex.encoders.folder import FolderContent, Said
from pairdex.encoders.part import PartFiles, encode_part
from pairdex.encoders.sources import PHOTO_FACTS, Place, Sample
from pairdex.encoders.target import write_note
from pairdex.files import atomic
from pairdex.follow.rows import CONTENT
from pairdex.follow.waiting import when_free
from pairdex.parts.columns import ORIGIN
from pairdex.parts.note import Note
from pairdex.progress import StepProgress
from pairdex.store.build import build_collection
from pairdex.store.manifest import Manifest
from pairdex.store.plan import Selection

__all__ = ["Fresh", "FurtherColumns", "add_part", "further_columns", "sample"]

_FACTS = (*PHOTO_FACTS, CONTENT)
_RESERVED = TAKEN | set(_FACTS)
_KINDS = {"bool": "bool", "int64": "int", "double": "float", "string": "text"}


@dataclass
class FurtherColumns:
    """The further columns of a collection of pictures, fixed when it is created.

    `late` are keys that appeared later and have no column.
    """

    names: dict[str, str]  # of the columns, by key
    kinds: dict[str, str]  # by name
    late: set[str]

    @property
    def schema(self) -> pa.Schema:
        """Their names and types."""
        return JsonColumns(dict(self.kinds), frozenset()).schema

    def values(self, said: Mapping[str, object]) -> tuple[object, ...]:
        """Return the values of one picture; a value that does not fit its column is missing."""
        named: dict[str, object] = {}
        for key, value in said.items():
            if key in self.names:
                named[self.names[key]] = _fitting(value, self.kinds[self.names[key]])
            elif value is not None and value != "":
                self.late.add(key)
        return JsonColumns(dict(self.kinds), frozenset()).values(named)


def further_columns(
    manifest: Manifest | None, content: FolderContent, said: Mapping[str, Said]
) -> FurtherColumns:
    """Return the further columns of a collection, or of the one to be created."""
    columns = JsonColumns(dict(content.table.columns.kinds), frozenset(_RESERVED))
    for one in said.values():
        columns.see(one.values)
    own = dict(zip(columns.kinds, columns.schema.names, strict=True))
    if manifest is None:
        kinds = {own[key]: kind for key, kind in columns.kinds.items()}
        return FurtherColumns(own, kinds, set())
    ours = _RESERVED | {name for name, _ in ORIGIN}
    held = {one.name: _kind(one.type) for one in manifest.columns if one.name not in ours}
    return FurtherColumns({k: name for k, name in own.items() if name in held}, held, set())


def _kind(arrow: str) -> str:
    return "texts" if arrow.startswith("list<") else _KINDS.get(arrow, "text")


def _fitting(value: object, kind: str) -> object:
    """Return a value if it fits a column, else None."""
    fits: dict[str, type | tuple[type, ...]] = {
        "bool": bool,
        "int": int,
        "float": (int, float),
        "texts": Texts,
    }
    if kind == "text" or value is None:
        return value
    is_mistaken = isinstance(value, bool) and kind != "bool"
    return value if isinstance(value, fits[kind]) and not is_mistaken else None


@dataclass
class Fresh:
    """Pictures to encode, as a source."""

    root: Path
    schema: pa.Schema
    has_captions: bool
    pictures: Sequence[Sample]
    facts: Sequence[str] = _FACTS
    notes: Sequence[tuple[str, str]] = ()
    linked: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def samples(self, start: int, stop: int) -> Sequence[Sample]:
        """Return the pictures from `start` to before `stop`."""
        return self.pictures[start:stop]

    def stamp(self, start: int, stop: int) -> object:
        """Return the pictures' names; the checksum column identifies their content."""
        return [one.name for one in self.pictures[start:stop]]


def sample(content: FolderContent, name: str, said: Said, columns: FurtherColumns) -> Sample:
    """Return a picture of the folder as a sample to encode."""
    place = Place(os.fspath(content.root / name))
    return Sample(name, said.caption, columns.values(said.values), place, note=said.note)


def add_part(
    source: Fresh,
    collection: Path,
    staging: Path,
    *,
    number: int,
    encoder: Encoder,
    decoder: Decoder,
    note: Note,
    progress: StepProgress,
) -> Sequence[Failure]:
    """Encode pictures and add them to a collection; create it if needed.

    Returns
    -------
    Sequence[Failure]
        The unreadable pictures. If all are unreadable, nothing is added.

    Raises
    ------
    PairdexError
        The disk is full; another process holds the collection for too long; the model is damaged.
    """
    shutil.rmtree(staging, ignore_errors=True)
    atomic.make_folder(staging)
    write_note(staging, note)
    summary = encode_part(
        source,
        source.pictures,
        PartFiles(staging, number),
        encoder=encoder,
        decoder=decoder,
        digest=f"photos {number}",
        progress=progress,
    )
    if summary.rows:
        when_free(lambda: build_collection(staging, collection, selection=Selection()))
    shutil.rmtree(staging)
    return summary.failures
