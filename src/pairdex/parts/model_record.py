"""What parts and collections record of the model that made their vectors."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["ModelRecord"]


class ModelRecord(TypedDict):
    """Which model made the vectors; `folder` is where it was, a hint for finding it again."""

    name: str
    dim: int
    checksum: str
    folder: str | None
