"""Find the local picture of a row: always a file inside the recorded folders of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pairdex.store.manifest import PartEntry

__all__ = ["picture_folders", "picture_path"]


def picture_folders(parts: Iterable[PartEntry]) -> list[Path]:
    """Return the existing folders of pictures of some parts, with those that links may lead into."""
    named = dict.fromkeys(
        folder for part in parts if part.pictures for folder in (part.pictures, *part.linked)
    )
    return [path for folder in named if (path := Path(folder).resolve()).is_dir()]


def picture_path(part: PartEntry, name: str | None) -> Path | None:
    """Return the path of a picture in a part's folder of pictures; None if it is missing or outside.

    `name` comes from metadata and is untrusted: it may be `../../etc/passwd`. Links are followed only into
    folders that were recorded when the pictures were encoded.
    """
    if part.pictures is None or not name:
        return None
    folder = Path(part.pictures).resolve()
    try:
        path = (folder / name).resolve()
        inside = any(path.is_relative_to(one) for one in [folder, *map(Path, part.linked)])
        return path if inside and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # the file system does not allow this name
        return None
