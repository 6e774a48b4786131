"""Thumbnails: small, upright, and without other data of the file."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pairdex.encoders.pictures import open_picture
from pairdex.encoders.thumbnail import thumbnail


def gradient(width, height):
    """A picture whose red grows to the right and whose green grows downwards."""
    levels = np.zeros((height, width, 3), np.uint8)
    levels[..., 0] = np.linspace(0, 255, width)
    levels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(levels)


def opened(small):
    return Image.open(BytesIO(small.data))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_large_picture_is_reduced_and_looks_the_same(tmp_path, suffix):
    gradient(1600, 1200).save(tmp_path / f"a.{suffix}", quality=95)
    small = opened(thumbnail(tmp_path / f"a.{suffix}", 160))
    assert small.size == (160, 120)
    expected = np.asarray(gradient(1600, 1200).resize((160, 120)), float)
    assert np.abs(np.asarray(small, float) - expected).max() < 16


def test_a_small_picture_is_not_enlarged(tmp_path):
    gradient(30, 20).save(tmp_path / "a.png")
    assert opened(thumbnail(tmp_path / "a.png", 160)).size == (30, 20)


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(tmp_path):
    gradient(3200, 1600).save(tmp_path / "a.jpg")
    assert open_picture(tmp_path / "a.jpg", side=320).size == (800, 400)
    assert open_picture(tmp_path / "a.jpg").size == (3200, 1600)


def test_a_picture_is_upright_and_its_exif_is_gone(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    gradient(1600, 800).save(tmp_path / "a.jpg", exif=exif)
    small = opened(thumbnail(tmp_path / "a.jpg", 160))
    assert small.size == (80, 160)
    assert dict(small.getexif()) == {}


def test_a_transparent_picture_becomes_webp(tmp_path):
    Image.new("RGBA", (400, 400), (255, 0, 0, 60)).save(tmp_path / "a.png")
    small = thumbnail(tmp_path / "a.png", 100)
    assert small.media_type == "image/webp"
    assert opened(small).mode == "RGBA"
