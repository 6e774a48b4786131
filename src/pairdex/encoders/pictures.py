"""Open pictures from untrusted files: complete, of bounded size, of a known format.

Pictures are rotated upright by EXIF, unless requested as stored. Animated pictures give their first
frame. The HEIF decoder always rotates.
"""

from __future__ import annotations

import stat
import struct
import zlib
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Literal

import pi_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from pairdex.errors import DamagedFile, InvalidArgument, MissingFile

__all__ = [
    "DAMAGE",
    "MAX_PICTURE_PIXELS",
    "OTHER_KINDS",
    "SUFFIXES",
    "Orientation",
    "kind_of_file",
    "open_picture",
]

Orientation = Literal["upright", "as stored"]

# 256 MB when decoded to RGB; just below where Pillow itself begins to warn of decompression bombs.
MAX_PICTURE_PIXELS = 89_000_000

# Common still picture formats; not those for which Pillow runs a program (EPS, WMF).
_FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF", "JPEG2000", "ICO",
    "TGA", "QOI",
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
        ".heic",
        ".heif",
        ".hif",
        ".jp2",
        ".ico",
        ".tga",
        ".qoi",
    ]
)

# Unsupported picture formats by suffix; they are reported with advice.
_RAW = "a camera's raw file; export it as JPEG"
OTHER_KINDS = {
    ".svg": "a drawing (SVG); export it as PNG",
    ".svgz": "a drawing (SVG); export it as PNG",
    ".psd": "a Photoshop file; export it as PNG",
    ".psb": "a Photoshop file; export it as PNG",
    ".xcf": "a GIMP file; export it as PNG",
    ".jxl": "a JPEG XL picture; convert it to JPEG or PNG",
    **dict.fromkeys(
        (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"), _RAW
    ),
}

# Exceptions of Pillow's decoders on damaged data, as found by truncating files and flipping bytes.
DAMAGE = (
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
    Warning,  # if warning filters turn them into errors
    struct.error,
    zlib.error,
)


def open_picture(
    source: Path | BytesIO, *, orientation: Orientation = "upright", side: int | None = None
) -> Image.Image:
    """Open and decode a picture.

    Parameters
    ----------
    orientation
        `upright` rotates it by EXIF; `as stored` does not, like the reference preprocessing of
        CLIP.
    side
        Decode a large JPEG at an eighth to a half of its size, as long as both sides have `side`
        pixels. None decodes it whole.

    Returns
    -------
    Image.Image
        Decoded, in the file's mode.

    Raises
    ------
    MissingFile
        The file does not exist.
    InvalidArgument
        It is not a picture, or has more than `MAX_PICTURE_PIXELS`.
    DamagedFile
        It is truncated or corrupt, or cannot be read.
    """
    if isinstance(source, BytesIO):
        return _opened(source, "the picture", orientation, side)
    try:
        kind = kind_of_file(source.stat().st_mode)
        if kind is not None:  # opening a FIFO would wait for its writer
            raise DamagedFile(f"{source} is {kind}, expected a picture")
        file = source.open("rb")
    except FileNotFoundError as error:
        raise MissingFile(f"{source} does not exist; expected a picture") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DamagedFile):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DamagedFile(f"{source} cannot be read: {reason}") from error
    with file:
        return _opened(file, str(source), orientation, side)


def kind_of_file(mode: int) -> str | None:
    """Return the kind of a special file by its `st_mode`, such as "a FIFO"; None if it is regular."""
    if stat.S_ISREG(mode):
        return None
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((kind for check, kind in kinds if check(mode)), "not a regular file")


def _opened(file: IO[bytes], name: str, orientation: Orientation, side: int | None) -> Image.Image:
    picture = _identified(file, name)
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:  # known from the header: nothing is decoded yet
        raise InvalidArgument(
            f"{name} is {width:,} x {height:,} pixels, at most {MAX_PICTURE_PIXELS:,} are decoded; "
            "scale it down",
            field="image",
        )
    try:
        if side is not None:
            picture.draft(None, (side, side))
        picture.load()
    except DAMAGE as error:
        raise _damaged(name, error) from error
    if orientation == "upright":
        with suppress(*DAMAGE):  # a picture with damaged EXIF is still used
            ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _identified(file: IO[bytes], name: str) -> Image.Image:
    _register_formats()
    known = [kind for kind in _FORMATS if kind in Image.OPEN]
    try:
        return Image.open(file, formats=known)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidArgument(
            f"{name} has more than {MAX_PICTURE_PIXELS:,} pixels; scale it down", field="image"
        ) from error
    except UnidentifiedImageError as error:
        raise InvalidArgument(
            f"{name} is not a picture of a known format; expected JPEG, PNG, WebP, HEIC or the like",
            field="image",
        ) from error
    except DAMAGE as error:
        raise _damaged(name, error) from error


@cache
def _register_formats() -> None:
    Image.init()
    pi_heif.register_heif_opener()


def _damaged(name: str, error: BaseException) -> DamagedFile:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DamagedFile(f"{name} cannot be decoded: {reason[:200]}")
