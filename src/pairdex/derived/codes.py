"""The codes of a collection: opened where they fit its vectors, built once where they do not.

`indexes/<image|text>/codes` is derived: it may be deleted at any time and changes no answer, only its
speed. It names the vectors it was made of, so that codes of an older version are noticed.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pairdex.errors import CollectionBusy, Mismatch, MissingFile, WriteFailed
from pairdex.files import atomic, checksums, lock
from pairdex.knn.codes import Codes, build_codes, open_codes
from pairdex.progress import StepProgress
from pairdex.store.manifest import read_manifest
from pairdex.store.store import Kind, Store
from pairdex.work.processors import usable_processors

__all__ = ["codes_path", "find_codes", "open_or_build_codes"]


_log = logging.getLogger(__name__)


def codes_path(collection: Path, on: Kind) -> Path:
    """Return where a collection's codes are, or would be."""
    return collection / "indexes" / on / "codes"


def find_codes(store: Store, on: Kind) -> Codes | None:
    """Open the codes of the collection's vectors; None where there are none, or older ones.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        There is a file of codes, but it is damaged or of another version.
    """
    try:
        return open_codes(
            codes_path(store.path, on), rows=store.rows, dim=store.dim, source=_source(store, on)
        )
    except (MissingFile, Mismatch):
        return None


def open_or_build_codes(
    store: Store, on: Kind, *, progress: StepProgress | None = None
) -> Codes | None:
    """Open the codes of the collection's vectors, built first where they are missing.

    Returns
    -------
    Codes or None
        None where they cannot be written now (no room, no permission, another writer, or the
        collection has got more parts since `store` was opened): a warning says so, and a search reads
        the vectors themselves instead, for the same answer.

    Raises
    ------
    DamagedFile, UnsupportedFormat
        There is a file of codes, but it is damaged or of another version.
    """
    codes = find_codes(store, on)
    if codes is not None or store.rows == 0:
        return codes
    try:
        with lock.writing(store.path):
            codes = find_codes(store, on)  # another process may have built them meanwhile
            if codes is None:
                _check_newest(store)
                _build(store, on, progress)
    except (WriteFailed, CollectionBusy, Mismatch) as error:
        _log.warning("searching without codes, more slowly: %s", error)
        return None
    return codes or find_codes(store, on)


def _build(store: Store, on: Kind, progress: StepProgress | None) -> None:
    path = codes_path(store.path, on)
    atomic.make_folder(path.parent)
    atomic.discard_partials(path.parent)
    other: Kind = "text" if on == "image" else "image"
    others = store.vectors(other).blocks if other in store.manifest.vectors else None
    build_codes(
        store.vectors(on).blocks,
        path,
        text_blocks=others,
        source=_source(store, on),
        threads=usable_processors(),
        progress=progress,
    )


def _check_newest(store: Store) -> None:
    if read_manifest(store.path).checksum != store.manifest.checksum:
        raise Mismatch(f"{store.path} has changed since it was opened; open it again")


def _source(store: Store, on: Kind) -> str:
    """Name the vectors by the checksums of their files."""
    files = [part.files[on].checksum for part in store.manifest.parts]
    return checksums.of_bytes("\n".join(files).encode())
