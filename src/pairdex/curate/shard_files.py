"""The files of one shard: linked to those of the collection that it comes from where that is possible.

Every file that a shard shares is replaced as a whole when it changes. So neither collection ever sees
a change of the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pairdex.curate.score import values_name
from pairdex.derived.codes import codes_path
from pairdex.derived.graph import graph_path
from pairdex.derived.index import ivf_path
from pairdex.derived.lookups.keywords import KEYWORDS
from pairdex.derived.lookups.parts import Lookup, made_parts, part_file
from pairdex.derived.lookups.urls import URLS
from pairdex.errors import DamagedFile
from pairdex.files import atomic, checksums
from pairdex.files.links import link
from pairdex.ivf.efforts import points_path
from pairdex.progress import Meter
from pairdex.store.manifest import FileEntry, Manifest, PartEntry, write_manifest
from pairdex.store.removed import copy_removed
from pairdex.store.scores import ScoreNote, read_scores, score_folder, write_score
from pairdex.store.store import Store

__all__ = ["Placed", "ShardSource", "place_shard", "shard_bytes"]


@dataclass
class Placed:
    """How many bytes came to a new place by links, and how many were copied."""

    linked: int = 0
    copied: int = 0


@dataclass(frozen=True, eq=False)
class ShardSource:
    """The consecutive parts of a collection that become one shard of this name."""

    store: Store
    parts: range
    name: str

    @property
    def entries(self) -> Sequence[PartEntry]:
        """The manifest's entries of the parts."""
        return self.store.manifest.parts[self.parts.start : self.parts.stop]

    @property
    def is_whole(self) -> bool:
        """Whether the shard has all rows of its collection."""
        return len(self.parts) == len(self.store.manifest.parts)


def shard_bytes(source: ShardSource) -> int:
    """Return the size of a shard's vectors and metadata."""
    return sum(file.bytes for part in source.entries for file in part.files.values())


def place_shard(source: ShardSource, folder: Path, placed: Placed, meter: Meter) -> Manifest:
    """Make the shard in `folder`, which may hold files of an earlier, interrupted call.

    Codes and indexes come along if the shard has all rows of its collection; look-ups of captions and URLs
    and scores always do.

    Returns
    -------
    Manifest
        The shard's manifest.

    Raises
    ------
    DamagedFile, WriteFailed
        A copied file is damaged; the disk is full.
    """
    moved = [_moved(part, index) for index, part in enumerate(source.entries)]
    manifest = replace(source.store.manifest, name=source.name, parts=moved)
    for old, new in _pairs(source.entries, moved):
        _place(source.store.path / old.path, folder / new.path, placed, old.checksum)
        meter.advance(old.bytes)
    for note in read_scores(source.store.path):
        _place_score(source, folder, note, placed)
    for old_path, new_path in _derived(source, folder):
        _place(old_path, new_path, placed)
    first = source.store.first_id(source.parts.start)
    copy_removed(source.store.path, source.store.manifest, first, folder, manifest)
    write_manifest(folder, manifest)
    return manifest


def _moved(part: PartEntry, index: int) -> PartEntry:
    """Return the entry of a part that becomes part `index` of its collection."""
    files = {
        kind: replace(file, path=f"{kind}/{index:05}{Path(file.path).suffix}")
        for kind, file in part.files.items()
    }
    return replace(part, files=files)


def _pairs(
    old: Sequence[PartEntry], new: Sequence[PartEntry]
) -> Iterator[tuple[FileEntry, FileEntry]]:
    for before, after in zip(old, new, strict=True):
        for kind, file in before.files.items():
            yield file, after.files[kind]


def _place_score(source: ShardSource, folder: Path, note: ScoreNote, placed: Placed) -> None:
    kept = []
    for index, part in enumerate(source.entries):
        scored = note.of(part)
        if scored is None:
            continue
        path = score_folder(folder, note.name) / values_name(index, note.head["checksum"])
        _place(source.store.path / scored.path, path, placed, scored.checksum)
        kept.append(replace(scored, path=str(path.relative_to(folder))))
    atomic.make_folder(score_folder(folder, note.name))
    write_score(folder, replace(note, parts=kept))


def _derived(source: ShardSource, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files of derived data that stay current, and where they go."""
    old = source.store.path
    for lookup in (KEYWORDS, URLS):
        for index in _made(source, lookup):
            new = part_file(folder, lookup, index - source.parts.start)
            yield part_file(old, lookup, index), new
    if not source.is_whole:
        return
    for on in source.store.manifest.vectors:
        lists, walked = ivf_path(old, on), graph_path(old, on)
        indexes = (lists, points_path(lists), walked, points_path(walked))
        for path in (codes_path(old, on), *indexes):
            if path.is_file():
                yield path, folder / path.relative_to(old)


def _made(source: ShardSource, lookup: Lookup) -> list[int]:
    if lookup.column not in source.store.schema.names:
        return []
    return [index for index in made_parts(source.store, lookup) if index in source.parts]


def _place(old: Path, new: Path, placed: Placed, checksum: str | None = None) -> None:
    """Link `new` to `old`, or copy it; a file of the same size is there already."""
    size = old.stat().st_size
    if new.is_file() and new.stat().st_size == size:
        return
    atomic.make_folder(new.parent)
    if link(old, new) is not None:
        placed.linked += size
        return
    with old.open("rb") as source, atomic.replacing(new) as target:
        shutil.copyfileobj(source, target, 4 << 20)
        target.flush()
        if checksum is not None and checksums.of_file(Path(target.name)) != checksum:
            raise DamagedFile(
                f"{old} is damaged: its checksum is not the one that was recorded; run pairdex verify"
            )
    placed.copied += size
