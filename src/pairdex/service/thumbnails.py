"""Local pictures as thumbnails: decoded and encoded again, so that nothing but a picture leaves."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from pairdex.encode.pictures import open_picture

__all__ = ["Thumbnail", "draw", "etag"]

_JPEG_QUALITY = 88  # of 95: no visible loss at the size of a tile
_WEBP_QUALITY = 88


@dataclass(frozen=True)
class Thumbnail:
    """An encoded picture."""

    data: bytes
    media_type: str


def etag(path: Path, side: int) -> str:
    """Return a name of the thumbnail's content, which changes whenever its file does."""
    status = path.stat()
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}-{side}"'


def draw(path: Path, side: int) -> Thumbnail:
    """Return the picture with its longer side at most `side` pixels; it is never enlarged.

    It is upright as its camera meant it, and carries none of the file's other data. Transparent
    pictures become WebP, all others JPEG.

    Raises
    ------
    PairdexError
        The file is no picture, or too large a one.
    """
    picture = ImageOps.exif_transpose(open_picture(path))
    picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.info.clear()
    file = BytesIO()
    if picture.mode == "RGBA":
        picture.save(file, "WEBP", quality=_WEBP_QUALITY)
        return Thumbnail(file.getvalue(), "image/webp")
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return Thumbnail(file.getvalue(), "image/jpeg")
