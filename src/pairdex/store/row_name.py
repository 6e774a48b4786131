"""The words that stand for a row where people look at it: its caption, else the name of its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["caption_of", "row_name"]


def row_name(row: Mapping[str, Any]) -> str | None:
    """Return the caption of a row, or without one its picture's path within the folder; None without both."""
    image_path = row.get("image_path")
    return caption_of(row) or (image_path if isinstance(image_path, str) and image_path else None)


def caption_of(row: Mapping[str, Any]) -> str | None:
    """Return the caption of a row; None if it is missing or blank."""
    caption = row.get("caption")
    return caption if isinstance(caption, str) and caption.strip() else None
