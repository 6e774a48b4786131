"""The files of an approximate index, lists or a graph: whole, and with the points that belong to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pairdex.errors import DamagedFile, MissingFile, UnsupportedFormat
from pairdex.files.sections import SectionedFile
from pairdex.ivf.efforts import points_path
from pairdex.store.store import Store, VectorField

__all__ = ["known_points", "part_checksums", "whole_file"]

_log = logging.getLogger(__name__)


class _Sealed(Protocol):
    @property
    def of(self) -> str: ...


File = TypeVar("File", bound=SectionedFile[Any])
Points = TypeVar("Points", bound=_Sealed)


def part_checksums(store: Store, on: VectorField) -> list[str]:
    """Return the checksums of the files of vectors, as an index records them."""
    return [part.files[on].checksum for part in store.manifest.parts if part.rows]


def whole_file(path: Path, open_file: Callable[[Path], File], what: str) -> File | None:
    """Open a file after checking every checksum; None if it is missing or, with a warning, damaged."""
    try:
        file = open_file(path)
        file.verify()
    except MissingFile:
        return None
    except (DamagedFile, UnsupportedFormat) as error:
        _log.warning("building the %s from scratch: %s", what, error)
        return None
    return file


def known_points(file: SectionedFile[Any], read: Callable[[Path], Points]) -> Points | None:
    """Read the operating points of a file; None if they are missing, damaged or of another file."""
    try:
        points = read(points_path(file.path))
    except (DamagedFile, MissingFile, UnsupportedFormat):
        return None
    return points if points.of == file.seal else None
