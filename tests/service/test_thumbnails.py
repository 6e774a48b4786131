"""Pictures as phones store them are upright on the page, in a form that every browser shows."""

from io import BytesIO

import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import pairdex
from pairdex.service.app import make_app

ORIENTATION, TURNED = 0x0112, 6  # EXIF: to be shown turned clockwise by 90 degrees


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    root = tmp_path_factory.mktemp("phone")
    pictures = root / "pictures"
    pictures.mkdir()
    upright = Image.new("RGB", (96, 64), "white")
    upright.paste("red", (0, 0, 96, 20))  # red at the top
    pillow_heif.from_pillow(upright).save(pictures / "a.heic", quality=90)
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    upright.transpose(Image.Transpose.ROTATE_90).save(pictures / "b.jpg", exif=exif)
    pairdex.encode(pictures, root / "parts", model="demo")
    pairdex.build(root / "parts", root / "phone")
    with TestClient(make_app(root / "phone"), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("row", [0, 1], ids=["heic", "exif"])
def test_a_picture_of_a_phone_is_sent_upright_as_jpeg(phone, row):
    response = phone.get(f"/api/items/{row}/picture")
    assert response.headers["content-type"] == "image/jpeg"
    shown = Image.open(BytesIO(response.content))
    assert (shown.format, shown.size) == ("JPEG", (96, 64))
    red, green, blue = shown.getpixel((48, 8))
    assert red > 200
    assert green < 90
    assert blue < 90
    assert min(shown.getpixel((48, 50))) > 220
    assert ORIENTATION not in shown.getexif()
