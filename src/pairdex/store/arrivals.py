"""Which parts of a source are new to a collection, which it holds, and which have changed since.

A part is known by where it comes from, its number or its file's name, as well as by its bytes. A part
of the same number that shares no rows with the one that is held is another release's.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from pairdex.errors import Mismatch
from pairdex.files import atomic, checksums
from pairdex.files.vector_writer import DTYPE
from pairdex.files.vectors import open_vectors
from pairdex.parts.columns import plan_parts
from pairdex.parts.note import Note
from pairdex.parts.part import Part
from pairdex.parts.tables import part_tables
from pairdex.store.manifest import Manifest, PartEntry
from pairdex.store.metadata import MetadataFile
from pairdex.store.plan import Selection, released_schema, source_name
from pairdex.store.staging import STAGING
from pairdex.store.write_part import PartTask, as_stored, write_part

__all__ = ["Arrival", "Arrivals", "find_arrivals"]

_NUMBERED = re.compile(r"img_emb_(\d+)\.npy")
_SAMPLE_ROWS = 256
_SHARED = 0.1  # of a sample; fewer rows may be the same by chance, as pictures are published twice
_BLOCK_ROWS = 65_536
_KEYS = ("url", "uid", "sha256", "md5", "hash")  # columns that name a picture wherever it lies


@dataclass(frozen=True)
class Arrival:
    """A part to add, and the indexes of the parts in the collection whose rows it replaces."""

    part: Part
    replaces: tuple[int, ...] = ()


@dataclass(frozen=True)
class Arrivals:
    """The parts to add, and a line on each part of which something should be known."""

    new: list[Arrival]
    notes: list[str]


@dataclass(frozen=True)
class _Held:
    """What a collection holds, as far as arriving parts are compared with it."""

    collection: Path
    source: Path
    before: Manifest
    selection: Selection
    replaced: frozenset[int]

    def like(self, part: Part) -> list[tuple[int, PartEntry]]:
        """Return the parts of the same number or file name, the newest first, replaced ones not."""
        gone = {index for entry in self.before.parts for index in entry.replaces}
        key = _key(part.image.path.name)
        return [
            (index, entry)
            for index, entry in reversed([*enumerate(self.before.parts)])
            if index not in gone
            and any(_key(Path(file.path).name) == key for file in entry.sources)
        ]


def find_arrivals(
    parts: Sequence[Part],
    before: Manifest | None,
    *,
    collection: Path,
    source: Path,
    selection: Selection,
    replaced: frozenset[int],
) -> Arrivals:
    """Compare the parts of a source with those that a collection holds.

    Parameters
    ----------
    replaced
        The numbers of the parts whose rows may replace those that are held.

    Raises
    ------
    Mismatch
        A part has changed and is not to be replaced, one that is to be replaced is not held, or an
        earlier limit has cut a part that is to be taken whole now.
    """
    if before is None or (selection.limit is not None and before.rows >= selection.limit):
        _check_replaced(replaced, frozenset(), collection)
        return Arrivals([] if before is not None else [Arrival(part) for part in parts], [])
    held = _Held(collection, source, before, selection, replaced)
    _check_replaced(replaced, {part.number for part in parts if held.like(part)}, collection)
    new: list[Arrival] = []
    notes: list[str] = []
    for part in parts:
        arrival, note = _compared(part, held)
        new += [] if arrival is None else [arrival]
        notes += [] if note is None else [note]
    return Arrivals(new, notes)


def _check_replaced(replaced: frozenset[int], held: frozenset[int] | set[int], where: Path) -> None:
    absent = sorted(replaced - held)
    if absent:
        raise Mismatch(
            f"part {absent[0]} is to be replaced, but {where} does not hold it, or the source does not: "
            f"build without --replace-part {absent[0]}"
        )


def _compared(part: Part, held: _Held) -> tuple[Arrival | None, str | None]:
    """Return the part if it is to be added, and what should be known of it."""
    like = held.like(part)
    if not like:
        return Arrival(part), None
    if any(_has_same_files(part, entry, held) for _, entry in like):
        return None, None
    related = [(index, entry) for index, entry in like if _shares_rows(part, entry, held)]
    if part.number in held.replaced:
        chosen = related or like
        return Arrival(part, tuple(index for index, _ in chosen)), None
    if not related:
        return Arrival(part), (
            f"{held.collection} already held another part {part.number}, with other rows: both are kept; "
            f"if it is the same part in a new version, remove the old rows"
        )
    _, entry = related[0]
    changed = _changed(part, entry, held.source)
    if _gives_same_rows(part, entry, held):
        return None, f"part {part.number} has another {changed} than before, with the same rows"
    raise Mismatch(
        f"part {part.number} of {held.source} is in {held.collection} already, with another {changed}: "
        f"--replace-part {part.number} takes its old rows down and adds the new ones"
    )


def _has_same_files(part: Part, entry: PartEntry, held: _Held) -> bool:
    """Return whether the bytes of a part's files are those of the entry; refuse one that was cut."""
    sizes = sorted(path.stat().st_size for path in part.files)
    if sizes != sorted(file.bytes for file in entry.sources):
        return False
    content = sorted(checksums.of_file(path) for path in part.files)
    if content != sorted(file.checksum for file in entry.sources):
        return False
    if entry.rows_read < part.rows:
        raise Mismatch(
            f"part {part.number} was cut at row {entry.rows_read:,} of {part.rows:,} by an earlier "
            f"limit: build a new collection to have more rows than {held.collection} has"
        )
    return True


def _shares_rows(part: Part, entry: PartEntry, held: _Held) -> bool:
    """Return whether a part and an entry have a file, vectors or pictures in common."""
    return (
        _shares_file(part, entry)
        or _shares_vectors(part, held.collection / entry.files["image"].path)
        or _shares_keys(part, entry, held)
    )


def _shares_file(part: Part, entry: PartEntry) -> bool:
    of_size = {file.bytes: file.checksum for file in entry.sources}
    return any(
        checksums.of_file(path) == of_size[size]
        for path in part.files
        if (size := path.stat().st_size) in of_size
    )


def _shares_vectors(part: Part, stored: Path) -> bool:
    sample = next(part.image.blocks(_SAMPLE_ROWS), None)
    if sample is None:
        return part.rows == 0
    rows, _ = as_stored(sample)
    wanted = {row.tobytes() for row in rows if row.any()}
    heads = _heads(rows)
    found: set[bytes] = set()
    for block in open_vectors(stored).blocks(_BLOCK_ROWS):
        alike = block[np.isin(_heads(block), heads)]
        found |= wanted & {row.tobytes() for row in alike}
        if len(found) > _SHARED * len(wanted):
            return True
    return False


def _heads(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float16]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """Return the first eight bytes of each row as a number."""
    head = np.zeros((len(rows), 4), DTYPE)
    width = min(4, rows.shape[1])
    head[:, :width] = rows[:, :width]
    return head.view(np.uint64)[:, 0]


def _shares_keys(part: Part, entry: PartEntry, held: _Held) -> bool:
    """Return whether pictures of a part are in the entry too, by their URLs or hashes."""
    stored = MetadataFile(held.collection / entry.files["metadata"].path, entry.rows, mapped=False)
    columns = [c for c in plan_parts([part]).of_parts[0] if c.name in stored.schema.names]
    key = next((c for name in _KEYS for c in columns if c.name == name), None)
    if key is None:
        return False
    table = next(part_tables(part, [key], _SAMPLE_ROWS), None)
    if table is None:
        return False
    kind = stored.schema.field(key.name).type
    if table[key.name].type != kind:
        return False
    wanted = pc.unique(table[key.name].drop_null())
    shared = 0
    for batch in stored.tables():
        shared += pc.sum(pc.is_in(wanted, value_set=pc.unique(batch[key.name]))).as_py() or 0
    return shared > _SHARED * len(wanted)


def _changed(part: Part, entry: PartEntry, source: Path) -> str:
    """Name the files of a part that are not those of the entry."""
    known = {Path(file.path).name: file for file in entry.sources}
    names = []
    for path in part.files:
        file = known.get(path.name)
        same = file is not None and file.bytes == path.stat().st_size
        if not same or checksums.of_file(path) != known[path.name].checksum:
            names.append(source_name(path, source))
    return " and ".join(names) or "set of files"


def _gives_same_rows(part: Part, entry: PartEntry, held: _Held) -> bool:
    """Return whether building the part again gives the very files that the collection holds."""
    if entry.rows_read != part.rows:
        return False
    schema = released_schema(held.collection, held.before)
    try:
        plan = plan_parts([part], schema)
    except Mismatch:
        return False
    kinds = [(column.name, column.type) for column in plan.of_earlier]
    if kinds != [(field.name, field.type) for field in schema]:
        return False
    place = held.collection / STAGING / "compared"
    rule = replace(held.selection, limit=None)
    task = PartTask(0, part, held.source, place, plan.of_parts[0], rule, Note())
    try:
        for kind in (*held.before.vectors, "metadata"):
            atomic.make_folder(place / kind)
        written = write_part(task)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return dict(_sums(written)) == dict(_sums(entry))


def _sums(entry: PartEntry) -> Iterator[tuple[str, str]]:
    return ((kind, file.checksum) for kind, file in entry.files.items())


def _key(name: str) -> int | str:
    """Return what names a part: the number in its file's name, or the name."""
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else name
