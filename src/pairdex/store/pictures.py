"""Finding the local picture of a row: only a file inside the folders that the pictures came from."""

from __future__ import annotations

from pathlib import Path

from pairdex.store.manifest import PartEntry

__all__ = ["picture_path"]


def picture_path(part: PartEntry, name: str | None) -> Path | None:
    """Return the file `name` in the folder of a part's pictures, or None: there is none, or it is outside.

    `name` is metadata, which anyone may have written: `../../etc/passwd` is not a picture. Links are
    followed to the folders that were recorded when the pictures were encoded, and to no other.
    """
    if part.pictures is None or not name:
        return None
    folder = Path(part.pictures).resolve()
    try:
        path = (folder / name).resolve()
        inside = any(path.is_relative_to(one) for one in [folder, *map(Path, part.linked)])
        return path if inside and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # no file can have such a name
        return None
