"""The codes of a collection: opened if they match its vectors, built otherwise.

`indexes/<image|text>/codes` is derived data. It may be deleted at any time; it changes the speed of
searches, never their results. It records the checksum of its vectors, so outdated codes are detected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast, get_args

from pairdex.derived.kind import DerivedInfo, DerivedKind
from pairdex.errors import CollectionBusy, Mismatch, MissingFile, WriteFailed
from pairdex.files import atomic, lock
from pairdex.files.checks import Check, reading_check
from pairdex.knn.codes import AnyCodes, Codes, CodesOfShards, build_codes, open_codes, verify_codes
from pairdex.progress import Progress, StepProgress, at_step
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Store, VectorField
from pairdex.work.processors import usable_processors

__all__ = [
    "CODES",
    "codes_path",
    "find_codes",
    "find_own_codes",
    "of_shards",
    "open_or_build_codes",
]


_log = logging.getLogger(__name__)


def codes_path(collection: Path, on: VectorField) -> Path:
    """Return the path of a collection's codes, which may not exist."""
    return collection / "indexes" / on / "codes"


def find_codes(store: Store, on: VectorField) -> AnyCodes | None:
    """Open the codes of the collection's vectors; None if they are missing or outdated.

    Shards have codes of their own; the result is None if none of them has any.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The file of codes is damaged, or has another format version.
    """
    if store.shards:
        return of_shards(store, [find_own_codes(shard, on) for shard in store.shards])
    return find_own_codes(store, on)


def find_own_codes(store: Store, on: VectorField) -> Codes | None:
    """Open the codes of a collection that has no shards; see `find_codes`."""
    store.need(f"indexes/{on}/codes")
    try:
        return open_codes(
            codes_path(store.path, on),
            rows=store.rows,
            dim=store.dim,
            source=store.manifest.vectors_checksum(on),
        )
    except (MissingFile, Mismatch):
        return None


def open_or_build_codes(
    store: Store, on: VectorField, *, progress: StepProgress | None = None
) -> AnyCodes | None:
    """Open the codes of the collection's vectors; build them first if they are missing.

    Returns
    -------
    Codes or None
        None if the codes cannot be written now: the disk is full or read-only, another process writes
        the collection, or parts were added since `store` was opened. This logs a warning. A search then
        reads the vectors and returns the same answer, more slowly.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        The file of codes is damaged, or has another format version.
    """
    if store.shards:
        found = [_open_or_build(shard, on, progress) for shard in store.shards]
        return of_shards(store, found)
    return _open_or_build(store, on, progress)


def _open_or_build(store: Store, on: VectorField, progress: StepProgress | None) -> Codes | None:
    codes = find_own_codes(store, on)
    if codes is not None or store.rows == 0:
        return codes
    try:
        _build_missing(store, on, progress)
    except (WriteFailed, CollectionBusy, Mismatch) as error:
        _log.warning("searching without codes, which is slower: %s", error)
        return None
    return find_own_codes(store, on)


def of_shards(store: Store, found: Sequence[Codes | None]) -> CodesOfShards | None:
    """Return the codes of the shards of a store together; None if none of them has any."""
    if all(one is None for one in found):
        return None
    rows = [shard.rows for shard in store.shards]
    return CodesOfShards(tuple(zip(rows, found, strict=True)), store.dim)


def _build_missing(store: Store, on: VectorField, progress: StepProgress | None) -> None:
    with lock.writing(store.path):
        if find_own_codes(store, on) is None:  # another process may have built them by now
            _check_newest(store)
            _build(store, on, progress)


def _build(store: Store, on: VectorField, progress: StepProgress | None) -> None:
    path = codes_path(store.path, on)
    atomic.make_folder(path.parent)
    atomic.discard_partials(path.parent)
    other: VectorField = "text" if on == "image" else "image"
    others = store.vectors(other).blocks if other in store.manifest.vectors else None
    build_codes(
        store.vectors(on).blocks,
        path,
        text_blocks=others,
        source=store.manifest.vectors_checksum(on),
        threads=usable_processors(),
        progress=progress,
    )


def _check_newest(store: Store) -> None:
    if read_manifest(store.path).checksum != store.manifest.checksum:
        raise Mismatch(f"{store.path} has changed since it was opened; open it again")


def _find(collection: Path) -> list[str]:
    return [on for on in get_args(VectorField) if codes_path(collection, on).exists()]


def _describe(store: Store, name: str) -> DerivedInfo:
    on = cast("VectorField", name)
    current = find_codes(store, on) is not None
    return DerivedInfo(
        CODES.name,
        name,
        title=f"codes of {on} vectors",
        rows=store.rows if current else None,
        bytes=codes_path(store.path, on).stat().st_size,
        current=current,
        details={"on": on},
    )


def _checks(collection: Path, name: str) -> Iterator[Check]:
    path = codes_path(collection, cast("VectorField", name))
    remedy = "delete it; the next search builds it again"
    yield reading_check(collection, path, partial(verify_codes, path), remedy=remedy)


def _make(collection: Path, name: str, progress: Progress | None) -> None:
    on, store = cast("VectorField", name), Store(collection)
    store.check_kind(on)
    if store.rows:
        _build_missing(store, on, at_step(progress, "making codes"))


CODES = DerivedKind(
    name="codes",
    heading="indexes",
    files=("indexes/*/codes",),
    find=_find,
    describe=_describe,
    checks=_checks,
    make=_make,
)
