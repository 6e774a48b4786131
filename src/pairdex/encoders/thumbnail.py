"""Thumbnails: a picture is decoded and encoded again, so that no other data of its file is passed on."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from pairdex.encoders.pictures import open_picture

__all__ = ["Thumbnail", "thumbnail"]

_QUALITY = 88  # of JPEG (at most 95) and WebP: no visible loss at the size of a tile

_OVERSAMPLED = 2  # sides decoded for each side kept: the picture stays sharp


@dataclass(frozen=True)
class Thumbnail:
    """An encoded picture."""

    data: bytes
    media_type: str


def thumbnail(source: Path | BytesIO, side: int) -> Thumbnail:
    """Return a picture with its longer side at most `side` pixels; it is never enlarged.

    It is rotated as its EXIF data says, and contains no other data of the file. Transparent
    pictures become WebP, all others JPEG.

    Raises
    ------
    MissingFile, DamagedFile, InvalidArgument
        The file is missing, is not a picture, or is too large; see `open_picture`.
    """
    picture = open_picture(source, side=_OVERSAMPLED * side)
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.info.clear()
    file = BytesIO()
    if picture.mode == "RGBA":
        picture.save(file, "WEBP", quality=_QUALITY)
        return Thumbnail(file.getvalue(), "image/webp")
    picture.save(file, "JPEG", quality=_QUALITY)
    return Thumbnail(file.getvalue(), "image/jpeg")
