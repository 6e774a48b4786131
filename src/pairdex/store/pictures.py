"""Finding the local picture of a row: only ever a file inside the folder that the pictures came from."""

from __future__ import annotations

from pathlib import Path

__all__ = ["picture_path"]


def picture_path(root: str | None, name: str | None) -> Path | None:
    """Return the file `name` in the folder `root`, or None where there is none, or one outside.

    `name` is metadata, which anyone may have written: `../../etc/passwd` is no picture.
    """
    if root is None or not name:
        return None
    folder = Path(root).resolve()
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # no file can have such a name
        return None
