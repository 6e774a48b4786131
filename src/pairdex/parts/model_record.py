"""What parts and collections record of the model that made their vectors."""

from __future__ import annotations

from typing import TypedDict

__all__ = ["ModelRecord", "shown_model"]


class ModelRecord(TypedDict):
    """The model that made the vectors; `folder` is its last known place, a hint for finding it.

    `checksum` is None where only the model's name is known: released parts do not state more.
    """

    name: str
    dim: int
    checksum: str | None
    folder: str | None


def shown_model(record: ModelRecord | None) -> str:
    """Return the name of a model and the beginning of its checksum; `none` without a model."""
    if record is None:
        return "none"
    checksum = record["checksum"]
    return record["name"] if checksum is None else f"{record['name']} ({checksum[:12]})"
