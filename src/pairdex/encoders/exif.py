"""Read from a picture's EXIF when, where and with which camera it was taken."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from PIL import ExifTags, Image

from pairdex.encoders.pictures import DAMAGE

__all__ = ["Facts", "facts_of"]

_TIME_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
_TIME = "%Y:%m:%d %H:%M:%S"
_MAX_CAMERA_CHARS = 200  # longer texts are not a camera's name


class Facts(NamedTuple):
    """EXIF facts of a picture.

    Attributes
    ----------
    taken
        The camera's local time; EXIF seldom has a time zone.
    camera
        Maker and model.
    latitude, longitude
        Degrees, north and east positive.
    """

    taken: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def facts_of(picture: Image.Image) -> Facts:
    """Read the EXIF of a picture; missing or damaged fields are None."""
    with suppress(*DAMAGE):
        exif = picture.getexif()
        taken = _taken(exif)
        camera = _camera(exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model))
        latitude, longitude = _place(_inner(exif, ExifTags.IFD.GPSInfo))
        return Facts(taken, camera, latitude, longitude)
    return Facts()


def _inner(exif: Image.Exif, part: ExifTags.IFD) -> Mapping[int, object]:
    with suppress(*DAMAGE):
        return dict(exif.get_ifd(part))
    return {}


def _taken(exif: Image.Exif) -> datetime | None:
    inner = _inner(exif, ExifTags.IFD.Exif)
    said = [*(inner.get(tag) for tag in _TIME_TAGS), exif.get(ExifTags.Base.DateTime)]
    for value in said:
        with suppress(ValueError):
            return datetime.strptime(_text(value)[:19], _TIME)
    return None


def _camera(make: object, model: object) -> str | None:
    maker, name = _text(make), _text(model)
    is_said = bool(maker) and name.lower().startswith(maker.split()[0].lower())
    joined = name if is_said else f"{maker} {name}".strip()
    return joined[:_MAX_CAMERA_CHARS] or None


def _text(value: object) -> str:
    said = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if not isinstance(said, str):
        return ""
    return " ".join(said.replace("\0", " ").encode("utf-8", "replace").decode().split())


def _place(gps: Mapping[int, object]) -> tuple[float | None, float | None]:
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), 90.0)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), 180.0)
    if latitude is None or longitude is None or (latitude, longitude) == (0.0, 0.0):
        return None, None  # cameras without a fix write zeros
    south = _text(gps.get(ExifTags.GPS.GPSLatitudeRef)).upper().startswith("S")
    west = _text(gps.get(ExifTags.GPS.GPSLongitudeRef)).upper().startswith("W")
    return -latitude if south else latitude, -longitude if west else longitude


def _degrees(value: object, most: float) -> float | None:
    """Return degrees, minutes and seconds as degrees; None unless they are in range."""
    if not isinstance(value, tuple) or len(value) != 3:
        return None
    with suppress(ArithmeticError, TypeError, ValueError):
        degrees, minutes, seconds = (float(part) for part in value)
        angle = degrees + minutes / 60 + seconds / 3600
        return angle if 0 <= angle <= most else None  # not NaN
    return None
