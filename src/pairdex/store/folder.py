"""A collection's folder while it is written: claimed by one writer, and tidy when that has ended."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pairdex.errors import InvalidArgument
from pairdex.files import atomic, lock
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest
from pairdex.store.scores import SCORES
from pairdex.store.staging import STAGING

__all__ = ["WORK", "claimed", "make_folders", "tidy"]

WORK = ".photos"  # where pictures are encoded on their way into the collection

_KINDS = ("image", "text", "metadata")  # the folders of a collection
_PART_FILE = re.compile(r"\d{5,}(-\d+)?\.(npy|arrow)")  # -1: after rows were moved


@contextmanager
def claimed(collection: Path) -> Iterator[Manifest | None]:
    """Have the folder to oneself; gives the manifest that is there, if any.

    A block that fails leaves nothing half-written.

    Raises
    ------
    CollectionBusy, InvalidArgument, WriteFailed
        Another process is writing it; it holds something else; it cannot be made.
    """
    was_there = collection.exists()
    atomic.make_folder(collection)
    with lock.writing(collection):
        before = _existing(collection)
        try:
            yield before
        except BaseException:  # Ctrl-C too
            _discard_partials(collection)
            if before is None:
                shutil.rmtree(collection / SCORES, ignore_errors=True)
            for name in (STAGING, *_KINDS, *([] if was_there else [""])):
                with suppress(OSError):  # it holds parts that are done
                    (collection / name).rmdir()
            raise


def make_folders(collection: Path, manifest: Manifest) -> None:
    """Make the folders that the files of a manifest's kind go to.

    A new collection begins without computed columns, even where one was killed that had some.
    """
    if not (collection / MANIFEST).exists():
        shutil.rmtree(collection / SCORES, ignore_errors=True)
    for name in (*manifest.vectors, "metadata", STAGING):
        atomic.make_folder(collection / name)
    _discard_partials(collection)


def tidy(collection: Path, manifest: Manifest, before: Manifest | None = None) -> None:
    """Remove what interrupted builds of other parts or options have left.

    The files of the manifest `before` stay: somebody may have read it and be about to open them.
    """
    shutil.rmtree(collection / STAGING, ignore_errors=True)
    _discard_partials(collection)  # of workers that outlived a killed build for a moment
    manifests = [manifest, *([] if before is None else [before])]
    named = {collection / file.path for one in manifests for file in one.files()}
    for kind in _KINDS:
        for path in (collection / kind).glob("*"):
            if _PART_FILE.fullmatch(path.name) and path not in named:
                path.unlink()
        if kind not in (*manifest.vectors, "metadata"):
            with suppress(OSError):
                (collection / kind).rmdir()


def _existing(collection: Path) -> Manifest | None:
    if (collection / MANIFEST).exists():
        return read_manifest(collection)
    ours = {
        *_KINDS,
        STAGING,
        SCORES,
        WORK,
        *(path.name for path in atomic.partials(collection, MANIFEST)),
    }
    strangers = sorted(entry.name for entry in collection.iterdir() if entry.name not in ours)
    if strangers:
        raise InvalidArgument(
            f"{collection} is no collection and not empty (it holds {strangers[0]}); "
            "name a new folder",
            field="collection",
        )
    return None


def _discard_partials(collection: Path) -> None:
    """Remove what killed builds left; a removal may be writing its own file beside the manifest."""
    for leftover in atomic.partials(collection, MANIFEST):
        leftover.unlink(missing_ok=True)
    for name in (*_KINDS, STAGING):
        atomic.discard_partials(collection / name)
