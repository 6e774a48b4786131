"""Push into a folder of this machine, a mounted share or the root of a web server: file:///folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from pairdex.downloads.streams import split_url
from pairdex.errors import InvalidArgument, Mismatch
from pairdex.files import atomic, checksums, lock
from pairdex.files.foreign_names import path_below
from pairdex.sharing.merge_removed import removed_ids
from pairdex.sharing.place import Place
from pairdex.sharing.target import Advance, Upload, another_push
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest

__all__ = ["FolderTarget"]

_BLOCK_BYTES = 1 << 20


class FolderTarget:
    """A folder; see `Target`."""

    def __init__(self, place: Place) -> None:
        split = split_url(place.url)
        if split.netloc not in ("", "localhost") or not split.path:
            raise InvalidArgument(
                f"{place} is not a folder of this machine; expected file:///folder", field="url"
            )
        self._place, self._folder = place, Path(unquote(split.path))

    def check_free(self, collection: Path, manifest: Manifest, *, published: bool) -> None:
        """Refuse a folder whose files a push would overwrite: that of the collection, or another one's.

        Parameters
        ----------
        published
            A list of published files is there, which the push has checked.

        Raises
        ------
        InvalidArgument, Mismatch
            The folder lies in the collection, or holds a collection that is not an earlier version of it.
        """
        inside, folder = collection.resolve(), self._folder.resolve()
        if inside in (folder, *folder.parents):
            raise InvalidArgument(
                f"{self._place} lies in the collection {collection}, whose files a push would replace; "
                "name another folder",
                field="url",
            )
        if published or not (self._folder / MANIFEST).exists():
            return
        there = read_manifest(self._folder)
        ours, theirs = manifest.vector_checksums("image"), there.vector_checksums("image")
        removed = np.setdiff1d(removed_ids(self._folder, there), removed_ids(collection, manifest))
        if ours[: len(theirs)] != theirs or len(removed):
            raise Mismatch(
                f"{self._folder} holds a collection ({there.name}) that differs from {collection} and was "
                "not published there; name a new folder"
            )

    def has(self, upload: Upload) -> bool:
        """Return whether an object of this name with these very bytes is there; see `Target`."""
        path = path_below(self._folder, upload.name)
        if path.is_symlink() or not path.is_file() or path.stat().st_size != upload.size:
            return False
        return checksums.of_file(path) == upload.checksum

    def put(self, upload: Upload, advance: Advance) -> None:
        """Send a file; see `Target`."""
        path = path_below(self._folder, upload.name)
        atomic.make_folder(path.parent)
        with atomic.replacing(path) as file:
            for block in upload.blocks(_BLOCK_BYTES, advance):
                file.write(block)

    def publish(self, name: str, data: bytes, version: str | None, retired: Sequence[str]) -> None:
        """Write the list and remove retired objects; see `Target`."""
        atomic.make_folder(self._folder)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            lock.acquire(descriptor, self._folder, wait=True)
            if self._version(name) != version:
                raise another_push(self._place)
            atomic.write_bytes(self._folder / name, data)
            for old in retired:
                path_below(self._folder, old).unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _version(self, name: str) -> str | None:
        """Return the version of an object as `FileSource` names it."""
        try:
            status = (self._folder / name).stat()
        except FileNotFoundError:
            return None
        return f"{status.st_size}-{status.st_mtime_ns}"
