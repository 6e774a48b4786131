"""The checks of `pairdex verify` on a collection's own files: its manifest's files, removed rows, folder state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.files.checks import Check, checksum_check, reading_check
from pairdex.store.manifest import Manifest
from pairdex.store.photo_state import STATE, STATE_REMEDY, read_state
from pairdex.store.removed import REMEDY, REMOVED, read_removed, state_of

__all__ = ["own_checks"]


def own_checks(collection: Path, manifest: Manifest) -> Iterator[Check]:
    """Yield a check for each file of the collection, without derived data."""
    for file in manifest.files():
        yield checksum_check(collection, file, remedy="build the collection again")
    if state_of(collection) is not None:
        path = collection / REMOVED
        difference = partial(_removed_difference, collection, manifest)
        yield Check(REMOVED, path.stat().st_size, difference, REMEDY)
    if (collection / STATE).exists():
        read = partial(read_state, collection)
        yield reading_check(collection, collection / STATE, read, remedy=STATE_REMEDY)


def _removed_difference(collection: Path, manifest: Manifest) -> str | None:
    try:
        read_removed(collection, manifest)
    except (DamagedFile, UnsupportedFormat, Mismatch) as error:
        return str(error).removeprefix(f"{collection / REMOVED} is damaged: ").partition(";")[0]
    return None
