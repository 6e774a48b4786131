"""The checksums of the blocks of published files: whoever reads a range verifies the blocks that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import xxhash

from pairdex.files import checksums
from pairdex.progress import Meter, StepProgress
from pairdex.sharing.listing import BlockSums, Listing
from pairdex.sharing.target import Upload

__all__ = ["SUM_BYTES", "with_block_sums"]

SUM_BYTES = 16  # XXH3-128

_BLOCK_BYTES = 1 << 16  # a row of a search costs one; its checksum takes 1/4096 of it
_FROM_BYTES = 1 << 20  # smaller files are fetched whole
_FOLDER = "blocks"  # of the objects that hold checksums
_DIGITS = 12  # of a checksum, in the name of an object whose plain name is taken


def with_block_sums(
    listing: Listing, uploads: list[Upload], before: Listing | None, progress: StepProgress | None
) -> tuple[Listing, list[Upload]]:
    """Add the checksums of the blocks of large files to a list; return it, and the objects to send.

    Files that the list before has with such checksums are not read.
    """
    known = before.blocks if before else {}
    files = before.by_path if before else {}
    kept = {
        file.path: known[file.path]
        for file in listing.files
        if file.path in known and files[file.path] == file
    }
    wanted = [each for each in uploads if each.size >= _FROM_BYTES and each.name not in kept]
    taken = {sums.object for sums in known.values()} | {*(before.retired if before else ())}
    meter = Meter(sum(each.size for each in wanted), progress)
    blocks, sent = dict(kept), []
    for each in wanted:
        upload = _sums_of(each, taken, meter)
        blocks[each.name] = BlockSums(upload.name, upload.checksum, _BLOCK_BYTES)
        sent.append(upload)
    gone = {sums.object for sums in known.values()} - {sums.object for sums in blocks.values()}
    ordered = {file.path: blocks[file.path] for file in listing.files if file.path in blocks}
    return replace(listing, blocks=ordered, retired=sorted({*listing.retired, *gone})), sent


def _sums_of(upload: Upload, taken: set[str], meter: Meter) -> Upload:
    """Return the object with the checksums of a file's blocks."""
    sums = bytearray()
    for block in _blocks(upload.source):
        sums += xxhash.xxh3_128_digest(block)
        meter.advance(len(block))
    checksum, name = checksums.of_bytes(bytes(sums)), f"{_FOLDER}/{upload.name}"
    if name in taken:
        name += f".{checksum[:_DIGITS]}"
    return Upload(name, len(sums), checksum, bytes(sums))


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield from (source[at : at + _BLOCK_BYTES] for at in range(0, len(source), _BLOCK_BYTES))
        return
    with source.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
