"""Which files of a collection are published: its own, and those of its derived data.

What names places on the publisher's machine stays there: the manifest is published without them, and
a manifest that has them is refused when it is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pairdex.derived.kinds import KINDS
from pairdex.errors import UnsupportedFormat
from pairdex.store.manifest import MANIFEST, Manifest

__all__ = ["DERIVED", "FOLDERS", "check_places", "derived_files", "without_places"]

DERIVED = frozenset(pattern.split("/")[0] for kind in KINDS for pattern in kind.files)
"""The folders of a collection that hold derived data."""

FOLDERS = DERIVED | {"image", "text", "metadata"}
"""The folders of a collection that are published."""


def derived_files(collection: Path) -> Iterator[str]:
    """Yield the paths of all files of derived data, in order; working files are left out."""
    for folder in sorted(DERIVED):
        for path in sorted((collection / folder).rglob("*")):
            name = path.relative_to(collection).as_posix()
            hidden = any(piece.startswith(".") for piece in name.split("/"))
            if path.is_file() and not path.is_symlink() and not hidden:
                yield name


def without_places(manifest: Manifest) -> Manifest:
    """Return a manifest without the folders of pictures and of the model on this machine."""
    parts = [replace(part, pictures=None, linked=()) for part in manifest.parts]
    model = None if manifest.model is None else manifest.model.copy()
    if model is not None:
        model["folder"] = None
    return replace(manifest, model=model, parts=parts)


def check_places(manifest: Manifest, where: str) -> None:
    """Refuse a manifest that names folders: a search on the fetched collection would open them.

    Raises
    ------
    UnsupportedFormat
        It names a folder of pictures, or of a model.
    """
    named = [part.pictures for part in manifest.parts] + [
        folder for part in manifest.parts for folder in part.linked
    ]
    named.append(None if manifest.model is None else manifest.model["folder"])
    found = next((folder for folder in named if folder is not None), None)
    if found is not None:
        raise UnsupportedFormat(
            f"the {MANIFEST} of {where} names the folder {found[:120]!r} of its publisher's machine, "
            f"which is refused; publish the collection with pairdex push, which leaves such names out"
        )
