"""Thumbnails: pictures are decoded and encoded again, so that no other data of a file is sent."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from pairdex.encoders.pictures import open_picture
from pairdex.errors import PairdexError
from pairdex.service.catalogue import ServedCollection
from pairdex.service.errors import ApiError

__all__ = ["PictureFile", "Thumbnail", "draw", "draw_bytes", "find"]

_JPEG_QUALITY = 88  # of 95: no visible loss at the size of a tile
_WEBP_QUALITY = 88


@dataclass(frozen=True)
class PictureFile:
    """A row's local picture; `version` changes with the file."""

    row_id: int
    path: Path
    version: str


@dataclass(frozen=True)
class Thumbnail:
    """An encoded picture."""

    data: bytes
    media_type: str


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
    """Return the picture with its longer side at most `side` pixels; it is never enlarged.

    It is rotated as its EXIF data says, and contains no other data of the file. Transparent pictures
    become WebP, all others JPEG.

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
        picture = ImageOps.exif_transpose(open_picture(source))
    except PairdexError as error:
        raise ApiError(404, "no_picture", f"{name} cannot be decoded", "id") from error
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.info.clear()
    file = BytesIO()
    if picture.mode == "RGBA":
        picture.save(file, "WEBP", quality=_WEBP_QUALITY)
        return Thumbnail(file.getvalue(), "image/webp")
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return Thumbnail(file.getvalue(), "image/jpeg")
