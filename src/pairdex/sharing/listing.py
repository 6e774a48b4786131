"""The list of a published collection's files, `published.json`: written last, read first.

It names every file with its size and checksum, and where its bytes lie. A file that changes gets a new
object, so whoever still reads an older list finds the bytes that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from pairdex.errors import DamagedFile, UnsupportedFormat
from pairdex.files.foreign_names import local_name
from pairdex.files.sealed_json import read_sealed, sealed
from pairdex.files.typed_json import sealed_record
from pairdex.sharing.contents import FOLDERS
from pairdex.store.manifest import MANIFEST, Manifest
from pairdex.store.removed import REMOVED

__all__ = [
    "LISTING",
    "LISTING_LIMIT_BYTES",
    "BlockSums",
    "Listing",
    "PublishedFile",
    "parse_listing",
]

LISTING = "published.json"
LISTING_LIMIT_BYTES = 256 << 20  # two million files

_FORMAT, _VERSION = "pairdex-published", 1
_CHECKSUM = re.compile(r"[0-9a-f]{32}")
_LEAST_BLOCK_BYTES, _MOST_BLOCK_BYTES = 1 << 12, 1 << 24


@dataclass(frozen=True)
class PublishedFile:
    """A file: its path in the collection, its size, its XXH3-128, and the name of its object.

    `object` is None where that name is the path.
    """

    path: str
    bytes: int
    checksum: str
    object: str | None = None

    @property
    def name(self) -> str:
        """The name of its object, relative to the address of the collection."""
        return self.object or self.path


@dataclass(frozen=True)
class BlockSums:
    """The checksums of a file's blocks of `block_bytes`, the last one shorter: 16 bytes each, XXH3-128.

    They are the content of `object`, which has the XXH3-128 `checksum`.
    """

    object: str
    checksum: str
    block_bytes: int


@dataclass(frozen=True)
class Listing:
    """The content of `published.json`.

    `retired` are objects that only the list before this one named; the next push removes them. `blocks`
    has the checksums of the blocks of large files, by path.
    """

    collection: str
    created_by: str
    files: list[PublishedFile]
    retired: list[str] = field(default_factory=list)
    blocks: dict[str, BlockSums] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def by_path(self) -> dict[str, PublishedFile]:
        """The files by their path."""
        return {file.path: file for file in self.files}

    @property
    def block_objects(self) -> set[str]:
        """The names of the objects that hold checksums of blocks."""
        return {sums.object for sums in self.blocks.values()}

    def sealed(self) -> bytes:
        """Return the bytes of `published.json`."""
        content = asdict(self)
        for file in content["files"]:
            if file["object"] is None:
                del file["object"]
        if not self.blocks:  # earlier releases did not write this key
            del content["blocks"]
        return sealed({"format": _FORMAT, "version": _VERSION, **content})

    def check_has(self, manifest: Manifest, where: str) -> None:
        """Raise DamagedFile unless the list has the files of the manifest, and no others of its kind."""
        known, named = self.by_path, {file.path: file for file in manifest.files()}
        for path, entry in named.items():
            file = known.get(path)
            if file is None or (file.bytes, file.checksum) != (entry.bytes, entry.checksum):
                raise DamagedFile(
                    f"{where} is damaged: {LISTING} and {MANIFEST} differ in {path}; publish it again"
                )
        for path in known.keys() - named.keys():
            if _is_of_part(path):
                raise DamagedFile(
                    f"{where} is damaged: {LISTING} names {path}, {MANIFEST} does not; publish it again"
                )


def parse_listing(data: bytes, where: str) -> Listing:
    """Return what a list says, every name checked.

    Parameters
    ----------
    where
        The address of the collection, for messages.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The list is damaged, names files that are not a collection's, or a newer release wrote it.
    """
    remedy = f"publish {where} again"
    content = read_sealed(data, Path(LISTING), kind=_FORMAT, version=_VERSION, remedy=remedy)
    listing = sealed_record(Listing, content, Path(LISTING), advice=remedy)
    place = f"{LISTING} of {where}"
    _check_paths([file.path for file in listing.files], place)
    for file in listing.files:
        _check_object(file.name, place)
        if file.bytes < 0 or not _CHECKSUM.fullmatch(file.checksum):
            raise DamagedFile(f"{place} is damaged: {file.path} has no size or checksum; {remedy}")
    for name in listing.retired:
        _check_object(name, place)
    _check_blocks(listing, f"{place} is damaged", remedy)
    return listing


def _check_paths(paths: Iterable[str], place: str) -> None:
    """Refuse paths that are not those of a collection's files, or of which one is the folder of another."""
    seen: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        local_name(path, place)
        pieces = path.split("/")
        inside = pieces[0] in FOLDERS and len(pieces) > 1
        if not (path in (MANIFEST, REMOVED) or inside) or _is_hidden(path):
            raise UnsupportedFormat(
                f"{place} names the file {path[:120]!r}, which is not one of a collection; "
                "if a newer release published it, upgrade pairdex"
            )
        if path in seen:
            raise DamagedFile(f"{place} is damaged: it names {path} twice")
        seen.add(path)
        folders |= {str(parent) for parent in PurePosixPath(path).parents}
    if MANIFEST not in seen or seen & folders:
        what = f"no {MANIFEST}" if MANIFEST not in seen else f"a file in {min(seen & folders)}"
        raise DamagedFile(f"{place} is damaged: it names {what}")


def _check_object(name: str, place: str) -> None:
    """Refuse the name of an object that is not below the collection's address, or is the list itself."""
    local_name(name, place)
    if name == LISTING or any(character in name for character in "?#%"):
        raise UnsupportedFormat(f"{place} names the object {name[:120]!r}, which is refused")


def _check_blocks(listing: Listing, place: str, remedy: str) -> None:
    """Refuse checksums of blocks that no push writes."""
    known = listing.by_path
    for path, sums in listing.blocks.items():
        _check_object(sums.object, place)
        is_size = _LEAST_BLOCK_BYTES <= sums.block_bytes <= _MOST_BLOCK_BYTES
        if path not in known or not is_size or not _CHECKSUM.fullmatch(sums.checksum):
            raise DamagedFile(f"{place}: the blocks of {path[:120]!r} are wrong; {remedy}")


def _is_hidden(path: str) -> bool:
    return any(piece.startswith(".") for piece in path.split("/"))


def _is_of_part(path: str) -> bool:
    return path.partition("/")[0] in ("image", "text", "metadata")
