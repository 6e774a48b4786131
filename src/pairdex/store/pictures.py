"""Find the local picture of a row: always a file inside the folder of pictures."""

from __future__ import annotations

from pathlib import Path

__all__ = ["picture_path"]


def picture_path(root: str | None, name: str | None) -> Path | None:
    """Return the path of the file `name` in the folder `root`; None if it is missing or outside `root`.

    `name` comes from metadata and is untrusted: it may be `../../etc/passwd`.
    """
    if root is None or not name:
        return None
    folder = Path(root).resolve()
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # the file system does not allow this name
        return None
