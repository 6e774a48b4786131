"""Which vectors of a part a collection may share with the released files instead of copying them."""

from __future__ import annotations

from pathlib import Path

from pairdex.files.vector_writer import DTYPE
from pairdex.files.vectors import VectorFile
from pairdex.parts.part import Part

__all__ = ["linkable"]


def linkable(part: Part) -> dict[str, Path]:
    """Return the files whose bytes are those of a collection, by kind: plain .npy of float16 rows."""
    kinds = {"image": part.image, "text": part.text}
    return {
        kind: file.path.resolve()
        for kind, file in kinds.items()
        if isinstance(file, VectorFile) and file.is_plain and file.dtype == DTYPE
    }
