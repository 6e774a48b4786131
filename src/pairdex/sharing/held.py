"""What is published at an address before a push: its manifest and its removed rows."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pairdex.downloads.sources import Sources
from pairdex.errors import DamagedFile
from pairdex.files import checksums
from pairdex.sharing.listing import Listing
from pairdex.sharing.merge_removed import removed_ids
from pairdex.sharing.place import Place
from pairdex.store.manifest import MANIFEST, Manifest, read_manifest
from pairdex.store.removed import REMOVED

__all__ = ["Held", "read_held"]


@dataclass(frozen=True)
class Held:
    """The published collection: its list and the list's version, its manifest, its removed ids."""

    listing: Listing
    version: str | None
    manifest: Manifest
    removed: NDArray[np.int64]


def read_held(place: Place, sources: Sources) -> Held | None:
    """Return what is published at an address; None if nothing is.

    Raises
    ------
    FetchFailed, DamagedFile, UnsupportedFormat
        The address cannot be read, or what is published is not a collection.
    """
    published = place.published(sources)
    if published is None:
        return None
    files = published.listing.by_path
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in (MANIFEST, REMOVED):
            if name in files:
                data, _ = place.read(files[name].name, files[name].bytes, sources)
                if checksums.of_bytes(data) != files[name].checksum:
                    raise DamagedFile(
                        f"{place} is damaged: its {name} does not have the checksum of the list; "
                        "remove it there, and push again"
                    )
                (folder / name).write_bytes(data)
        manifest = read_manifest(folder)
        return Held(published.listing, published.version, manifest, removed_ids(folder, manifest))
