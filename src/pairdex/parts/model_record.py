"""What parts and collections record of the model that made their vectors."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["ModelRecord"]


class ModelRecord(TypedDict):
    """The model that made the vectors; `folder` is its last known place, a hint for finding it."""

    name: str
    dim: int
    checksum: str
    folder: str | None
