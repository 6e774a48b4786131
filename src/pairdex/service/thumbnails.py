"""Local pictures as thumbnails: decoded and encoded again, so that nothing but a picture leaves."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from pairdex.encoders.pictures import open_picture
from pairdex.errors import PairdexError
from pairdex.service.catalogue import Served
from pairdex.service.errors import Refused

__all__ = ["PictureFile", "Thumbnail", "draw", "find"]

_JPEG_QUALITY = 88  # of 95: no visible loss at the size of a tile
_WEBP_QUALITY = 88


@dataclass(frozen=True)
class PictureFile:
    """A row's local picture; `version` changes whenever the file does."""

    row_id: int
    path: Path
    version: str


@dataclass(frozen=True)
class Thumbnail:
    """An encoded picture."""

    data: bytes
    media_type: str


def find(served: Served, row_id: int) -> PictureFile:
    """Return the local picture of a row, which is in the collection.

    Raises
    ------
    Refused
        404, the row has none.
    """
    path = served.collection.picture(row_id)
    try:
        status = path.stat() if path is not None else None
    except FileNotFoundError:
        status = None
    if path is None or status is None:
        raise Refused(404, "no_picture", f"row {row_id} has no local picture", "id")
    return PictureFile(row_id, path, f"{status.st_mtime_ns:x}-{status.st_size:x}")


def draw(picture_file: PictureFile, side: int) -> Thumbnail:
    """Return the picture with its longer side at most `side` pixels; it is never enlarged.

    It is upright as its camera meant it, and carries none of the file's other data. Transparent
    pictures become WebP, all others JPEG.

    Raises
    ------
    Refused
        404, the file is no picture, or too large a one.
    """
    try:
        picture = ImageOps.exif_transpose(open_picture(picture_file.path))
    except PairdexError as error:
        message = f"the local picture of row {picture_file.row_id} cannot be decoded"
        raise Refused(404, "no_picture", message, "id") from error
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.info.clear()
    file = BytesIO()
    if picture.mode == "RGBA":
        picture.save(file, "WEBP", quality=_WEBP_QUALITY)
        return Thumbnail(file.getvalue(), "image/webp")
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return Thumbnail(file.getvalue(), "image/jpeg")
