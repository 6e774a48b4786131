"""Convert a picture to a model's input, bit for bit like OpenAI's CLIP.

The reference is `_transform` of openai/CLIP (clip.py): torchvision's Resize on a PIL image, then
CenterCrop, then conversion to RGB, ToTensor and Normalize. The order matters: palette pictures are
resized before the conversion, hence by nearest neighbour. Pictures are not rotated by EXIF.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pairdex.encoders.model import ImageSpec
from pairdex.encoders.pictures import MAX_PICTURE_PIXELS
from pairdex.errors import InvalidArgument

__all__ = ["fitted", "normalised", "preprocess"]

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_TABLES_KEPT = 8  # upper bound of models in use at once


def preprocess(picture: Image.Image, spec: ImageSpec) -> NDArray[np.float32]:
    """Return the model's input for one picture.

    Parameters
    ----------
    picture
        Of any mode and size; it is not changed.

    Returns
    -------
    NDArray[np.float32]
        Shape (3, size, size), C-contiguous.

    Raises
    ------
    InvalidArgument
        The picture is so narrow that scaling its shorter side up would fill memory.
    """
    pixels: NDArray[np.float32] = normalised(fitted(picture, spec)[None], spec)[0]
    return pixels


def fitted(picture: Image.Image, spec: ImageSpec) -> NDArray[np.uint8]:
    """Return a picture scaled and cropped to the model's size, shape (size, size, 3).

    Raises
    ------
    InvalidArgument
        As `preprocess`.
    """
    inside = _cropped(picture, spec) if spec.resize_mode == "crop" else _squashed(picture, spec)
    return np.asarray(_as_rgb(inside))


def normalised(pictures: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """Return the model's input for pictures of its size.

    Parameters
    ----------
    pictures
        Shape (n, size, size, 3).

    Returns
    -------
    NDArray[np.float32]
        Shape (n, 3, size, size), C-contiguous.
    """
    table = _table(spec.mean, spec.std)
    pixels = np.empty((len(pictures), 3, *pictures.shape[1:3]), np.float32)
    for i in range(3):
        np.take(table[i], pictures[..., i], out=pixels[:, i])
    return pixels


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "P" and "transparency" in picture.info:
        # Pillow warns that the transparency is lost, as it is in the reference.
        picture = picture.copy()
        del picture.info["transparency"]
    return picture.convert("RGB")


def _cropped(picture: Image.Image, spec: ImageSpec) -> Image.Image:
    size = spec.size
    width, height = picture.size
    if width <= height:
        target = size, int(size * height / width)
    else:
        target = int(size * width / height), size
    if target[0] * target[1] > MAX_PICTURE_PIXELS:
        raise InvalidArgument(
            f"the picture is {width:,} x {height:,} pixels: too narrow to be scaled to "
            f"{size} pixels; crop it",
            field="image",
        )
    scaled = _resized(picture, target, spec)
    # round() goes to even on halves, which is what torchvision does; rounding down differs on a
    # quarter of all sizes.
    left, top = round((target[0] - size) / 2.0), round((target[1] - size) / 2.0)
    return scaled.crop((left, top, left + size, top + size))


def _squashed(picture: Image.Image, spec: ImageSpec) -> Image.Image:
    return _resized(picture, (spec.size, spec.size), spec)


def _resized(picture: Image.Image, target: tuple[int, int], spec: ImageSpec) -> Image.Image:
    if picture.size == target:
        return picture
    return picture.resize(target, _FILTERS[spec.interpolation])


@lru_cache(maxsize=_TABLES_KEPT)
def _table(
    mean: tuple[float, float, float], std: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Return the normalised value of each of the 256 levels, a row for each channel.

    Looking them up gives the same bits as float32 arithmetic on every pixel, in less time.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    means, stds = np.array(mean, np.float32), np.array(std, np.float32)
    return (levels[None, :] - means[:, None]) / stds[:, None]
