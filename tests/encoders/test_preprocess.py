"""Preprocessing equals OpenAI's, written here a second time from torchvision's documented rules."""

from dataclasses import replace
from io import BytesIO
from random import Random

import numpy as np
import pytest
from PIL import Image

from pairdex.encoders.model import ImageSpec
from pairdex.encoders.pictures import MAX_PICTURE_PIXELS
from pairdex.encoders.preprocess import preprocess
from pairdex.errors import InvalidArgument

SPEC = ImageSpec(
    size=48,
    resize_mode="crop",
    interpolation="bicubic",
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]
SIZES = [(48, 48), (48, 49), (51, 48), (47, 47), (1, 1), (7, 300), (640, 31), (49, 57), (224, 149)]


def noise(mode, size, seed=0):
    rng = np.random.default_rng(seed)
    width, height = size
    levels = rng.integers(0, 256, (height, width, 4), np.uint8)
    rgba = Image.fromarray(levels, "RGBA")
    if mode in ("RGBA",):
        return rgba
    if mode in ("I;16", "I", "F"):
        return Image.fromarray(levels[..., 0].astype(np.uint16) * 2).convert(mode)
    if mode == "PA":
        return rgba.convert("P").convert("PA")
    if mode in ("LA", "1", "L"):
        return rgba.convert(mode)
    if mode == "LAB":
        return Image.frombytes("LAB", size, levels[..., :3].tobytes())
    return rgba.convert("RGB").convert(mode)


def reference(picture, spec):
    """Resize(size, BICUBIC) - CenterCrop(size) - convert("RGB") - ToTensor - Normalize(mean, std).

    torchvision.transforms.Resize: the smaller edge becomes `size`, the other int(size * long / short).
    CenterCrop: offsets int(round((edge - size) / 2.0)), Python's rounding.
    """
    short, long = sorted(picture.size)
    other = int(spec.size * long / short)
    width, height = picture.size
    wanted = (spec.size, other) if width <= height else (other, spec.size)
    if picture.size != wanted:
        picture = picture.resize(wanted, Image.Resampling.BICUBIC)
    top = int(round((picture.height - spec.size) / 2.0))  # noqa: RUF046 - as it is documented
    left = int(round((picture.width - spec.size) / 2.0))  # noqa: RUF046
    picture = picture.crop((left, top, left + spec.size, top + spec.size)).convert("RGB")
    tensor = np.asarray(picture).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.array(x, np.float32)[:, None, None] for x in (spec.mean, spec.std))
    return (tensor - mean) / std


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_mode_and_size_gives_the_reference_bit_for_bit(mode, size):
    picture = noise(mode, size)
    result = preprocess(picture, SPEC)
    assert result.dtype == np.float32
    assert result.shape == (3, 48, 48)
    assert np.array_equal(result, reference(picture, SPEC))


@pytest.mark.parametrize("side", [32, 48, 224])
def test_random_sizes_give_the_reference_bit_for_bit(side):
    rng, spec = Random(side), replace(SPEC, size=side)
    for seed in range(40):
        picture = noise("RGB", (rng.randint(1, 500), rng.randint(20, 500)), seed)
        assert np.array_equal(preprocess(picture, spec), reference(picture, spec))


@pytest.mark.parametrize(
    ("width", "left"), [(4, 0), (5, 0), (6, 1), (7, 2), (8, 2), (9, 2), (11, 4)]
)
def test_the_crop_begins_at_half_the_rest_rounded_to_even(width, left):
    plain = ImageSpec(4, "crop", "bicubic", (0, 0, 0), (1, 1, 1))
    columns = np.tile(np.arange(width, dtype=np.uint8), (4, 1))
    result = preprocess(Image.fromarray(columns), plain)
    assert np.round(result[0, 0] * 255).tolist() == list(range(left, left + 4))


def test_a_model_that_squashes_gets_the_whole_picture():
    spec = replace(SPEC, resize_mode="squash", interpolation="bilinear")
    picture = noise("RGB", (300, 100))
    whole = picture.resize((48, 48), Image.Resampling.BILINEAR)
    assert np.array_equal(preprocess(picture, spec), reference(whole, SPEC))


def test_levels_come_out_exactly_as_float32_arithmetic_gives_them():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    spec = replace(SPEC, size=16)
    expected = (
        levels.astype(np.float32) / np.float32(255) - np.float32(spec.mean[1])
    ) / np.float32(spec.std[1])
    assert np.array_equal(preprocess(Image.fromarray(levels), spec)[1], expected)


@pytest.mark.parametrize("size", [(48, 48), (90, 60)], ids=str)
def test_a_palette_with_transparency_gives_its_colours_without_a_warning(size):
    file = BytesIO()
    noise("P", size).save(file, "PNG", transparency=bytes(range(256)))
    with Image.open(file) as picture:
        assert isinstance(picture.info["transparency"], bytes)
        result = preprocess(picture, SPEC)
        assert "transparency" in picture.info
    assert np.array_equal(result, reference(noise("P", size), SPEC))


def test_the_picture_is_left_as_it_was():
    picture = noise("P", (90, 60))
    before = picture.copy()
    preprocess(picture, SPEC)
    assert (picture.mode, picture.size) == (before.mode, before.size)
    assert picture.tobytes() == before.tobytes()


def test_a_picture_too_narrow_to_be_scaled_is_refused_before_memory_is_taken():
    picture = Image.new("L", (1, 50_000))
    assert MAX_PICTURE_PIXELS < 48 * 48 * 50_000
    with pytest.raises(InvalidArgument, match="1 x 50,000 pixels: too narrow"):
        preprocess(picture, SPEC)
