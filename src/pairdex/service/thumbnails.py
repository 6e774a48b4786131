"""The thumbnails that the service sends: of local pictures, and of pictures that it fetched."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pairdex.encoders.thumbnail import Thumbnail, thumbnail
from pairdex.errors import PairdexError
from pairdex.service.catalogue import ServedCollection
from pairdex.service.errors import ApiError

__all__ = ["PictureFile", "draw", "draw_bytes", "find"]


@dataclass(frozen=True)
class PictureFile:
    """A row's local picture; `version` changes with the file."""

    row_id: int
    path: Path
    version: str


def find(served: ServedCollection, row_id: int) -> PictureFile | None:
    """Return the local picture of a row of the collection; None if it does not have one."""
    path = served.collection.picture(row_id)
    try:
        status = path.stat() if path is not None else None
    except FileNotFoundError:
        status = None
    if path is None or status is None:
        return None
    return PictureFile(row_id, path, f"{status.st_mtime_ns:x}-{status.st_size:x}")


def draw(picture_file: PictureFile, side: int) -> Thumbnail:
    """Return the thumbnail of a local picture.

    Raises
    ------
    ApiError
        404, the file is not a picture, or is too large.
    """
    return _drawn(picture_file.path, side, f"the local picture of row {picture_file.row_id}")


def draw_bytes(data: bytes, side: int, row_id: int) -> Thumbnail:
    """As `draw`, for a picture that was fetched."""
    return _drawn(BytesIO(data), side, f"the picture at the url of row {row_id}")


def _drawn(source: Path | BytesIO, side: int, name: str) -> Thumbnail:
    try:
        return thumbnail(source, side)
    except PairdexError as error:
        raise ApiError(404, "no_picture", f"{name} cannot be decoded", "id") from error
