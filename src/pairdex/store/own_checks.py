"""What `pairdex verify` reads of a collection itself: the files its manifest names, and the removed rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pairdex.errors import DamagedFile, Mismatch, UnsupportedFormat
from pairdex.files.checks import Check, checksum_check
from pairdex.store.manifest import Manifest
from pairdex.store.removed import REMEDY, REMOVED, read_removed, state_of

__all__ = ["own_checks"]


def own_checks(collection: Path, manifest: Manifest) -> Iterator[Check]:
    """Yield a check of each file that is part of the collection and was not derived from it."""
    for file in manifest.files():
        yield checksum_check(collection, file, remedy="build the collection again")
    if state_of(collection) is not None:
        path = collection / REMOVED
        difference = partial(_removed_difference, collection, manifest)
        yield Check(REMOVED, path.stat().st_size, difference, REMEDY)


def _removed_difference(collection: Path, manifest: Manifest) -> str | None:
    try:
        read_removed(collection, manifest)
    except (DamagedFile, UnsupportedFormat, Mismatch) as error:
        return str(error).removeprefix(f"{collection / REMOVED} is damaged: ").partition(";")[0]
    return None
