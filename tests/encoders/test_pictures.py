"""Pictures that nobody vouches for: opened whole, or refused in one line."""

import io
import os
import struct
import sys
import warnings
import zlib
from random import Random

import pillow_heif
import pytest
from PIL import Image

from pairdex.demo.scenes import draw_scene, random_scene
from pairdex.encoders.pictures import MAX_PICTURE_PIXELS, open_picture
from pairdex.errors import DamagedFile, InvalidArgument, MissingFile, PairdexError


def encoded(kind, **options):
    file = io.BytesIO()
    rng = Random(3)
    draw_scene(random_scene(rng), rng, pixels=96).save(file, kind, **options)
    return file.getvalue()


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA"])
def test_common_formats_are_opened_from_a_path_and_from_bytes(kind, tmp_path):
    data = encoded(kind)
    path = tmp_path / f"picture.{kind.lower()}"
    path.write_bytes(data)
    from_path, from_bytes = open_picture(path), open_picture(io.BytesIO(data))
    assert from_path.size == (96, 96)
    assert from_path.tobytes() == from_bytes.tobytes()


def test_the_suffix_does_not_decide_the_format(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded("JPEG"))
    assert open_picture(path).format == "JPEG"


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", b"\x00" * 500, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"],
)
def test_what_is_no_picture_is_refused(data, tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_bytes(data)
    with pytest.raises(InvalidArgument, match=r"notes\.jpg is not a picture of a known format"):
        open_picture(path)
    with pytest.raises(InvalidArgument, match="the picture is not a picture") as caught:
        open_picture(io.BytesIO(data))
    assert caught.value.field == "image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_a_truncated_picture_is_refused(kind, tmp_path):
    data = encoded(kind)
    path = tmp_path / "half.bin"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PairdexError, match=r"half\.bin (cannot be decoded|is not a picture)"):
        open_picture(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(MissingFile, match="does not exist"):
        open_picture(tmp_path / "none.jpg")
    with pytest.raises(DamagedFile, match="is a folder, expected a picture"):
        open_picture(tmp_path)


@pytest.mark.parametrize("side", [9_435, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_from_its_header(side, monkeypatch):
    assert side * side > MAX_PICTURE_PIXELS

    def decode(_):
        pytest.fail("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", decode)
    with pytest.raises(InvalidArgument, match=r"pixels.*scale it down"):
        open_picture(io.BytesIO(png_header(side, side)))


def test_a_bomb_is_refused_too_where_warnings_are_not_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InvalidArgument, match="12,000 x 12,000 pixels, at most 89,000,000"):
            open_picture(io.BytesIO(png_header(12_000, 12_000)))


def test_pillow_keeps_its_own_limit():
    before = Image.MAX_IMAGE_PIXELS
    open_picture(io.BytesIO(encoded("PNG")))
    assert before == Image.MAX_IMAGE_PIXELS > MAX_PICTURE_PIXELS


def test_of_an_animated_picture_the_first_frame_is_taken():
    file = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert open_picture(file).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_a_picture_is_turned_upright_by_its_exif_unless_it_is_wanted_as_stored():
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees
    Image.new("RGB", (30, 10)).save(file, "JPEG", exif=exif)
    assert open_picture(file).size == (10, 30)
    assert open_picture(file, orientation="as stored").size == (30, 10)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_cost_the_picture():
    file = io.BytesIO()
    Image.new("RGB", (30, 10)).save(file, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff\xff")
    assert open_picture(file).size == (30, 10)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_pictures_of_phones_are_read_and_upright(kind):
    pillow_heif.register_heif_opener()
    drawn = Image.new("RGB", (64, 32), "red")
    drawn.paste("blue", (32, 0, 64, 32))
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    drawn.save(file, kind, exif=exif.tobytes())
    picture = open_picture(file).convert("RGB")
    assert picture.size == (32, 64)
    red, _, blue = picture.getpixel((16, 8))
    assert red > 200 > 50 > blue


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DamagedFile, match=r"a\.jpg is a FIFO, expected a picture"):
        open_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "TGA", "ICO", "PPM"])
def test_damaged_bytes_never_end_in_another_error(kind):
    whole, rng = encoded(kind), Random(kind)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(min(len(data), 400))] = rng.randrange(256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow also warns of corrupt metadata
                open_picture(io.BytesIO(bytes(data[: rng.choice([len(data), len(data) // 3])])))
        except PairdexError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most of the pictures still open


def test_the_message_of_a_damaged_picture_is_short():
    data = encoded("PNG")
    with pytest.raises(PairdexError) as caught:
        open_picture(io.BytesIO(data[:60] + b"\xff" * 40 + data[100:]))
    assert len(str(caught.value)) < 300
    assert sys.getsizeof(caught.value) < 10_000
