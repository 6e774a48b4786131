"""Opening a picture that nobody vouches for: whole, of bounded size, of a known format.

A picture is taken as it is stored: no rotation by EXIF, as the reference preprocessing has none,
and of an animated one the first frame.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from pairdex.errors import DamagedFile, InvalidArgument, MissingFile

__all__ = ["MAX_PICTURE_PIXELS", "SUFFIXES", "open_picture"]

# 256 MB when decoded to RGB; just below where Pillow itself begins to warn of decompression bombs.
MAX_PICTURE_PIXELS = 89_000_000

# Still pictures that people have; not those that Pillow runs a program for (EPS, WMF).
_FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA", "QOI",
)  # fmt: skip
SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".avif",
        ".jp2",
        ".ico",
        ".tga",
        ".qoi",
    ]
)

# What Pillow's decoders raise on damaged data, as seen when files are cut and bytes are flipped.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    MemoryError,
    Warning,  # where the program's filters make errors of them
    struct.error,
    zlib.error,
)


def open_picture(source: Path | BytesIO) -> Image.Image:
    """Open and decode a picture.

    Returns
    -------
    Image.Image
        Decoded, in the mode that the file has.

    Raises
    ------
    MissingFile
        There is no such file.
    InvalidArgument
        It is no picture, or has more than `MAX_PICTURE_PIXELS`.
    DamagedFile
        It is truncated or corrupt, or cannot be read.
    """
    if isinstance(source, BytesIO):
        return _opened(source, "the picture")
    try:
        file = source.open("rb")
    except FileNotFoundError as error:
        raise MissingFile(f"{source} does not exist; expected a picture") from error
    except OSError as error:
        raise DamagedFile(f"{source} cannot be read: {error.strerror}") from error
    with file:
        return _opened(file, str(source))


def _opened(file: IO[bytes], name: str) -> Image.Image:
    Image.init()
    known = [kind for kind in _FORMATS if kind in Image.OPEN]
    try:
        picture = Image.open(file, formats=known)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidArgument(
            f"{name} has more than {MAX_PICTURE_PIXELS:,} pixels; scale it down", field="image"
        ) from error
    except UnidentifiedImageError as error:
        raise InvalidArgument(
            f"{name} is no picture of a known format; expected JPEG, PNG, WebP or the like",
            field="image",
        ) from error
    except _DAMAGE as error:
        raise _damaged(name, error) from error
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:  # known from the header: nothing is decoded yet
        raise InvalidArgument(
            f"{name} is {width:,} x {height:,} pixels, at most {MAX_PICTURE_PIXELS:,} are decoded; "
            "scale it down",
            field="image",
        )
    try:
        picture.load()
    except _DAMAGE as error:
        raise _damaged(name, error) from error
    return picture


def _damaged(name: str, error: BaseException) -> DamagedFile:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DamagedFile(f"{name} cannot be decoded: {reason[:200]}")
