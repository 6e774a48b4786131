"""The backgrounds of the demo's scenes, which differ in colour and pattern."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image, ImageDraw

from pairdex.demo.pen import Rgb
from pairdex.demo.vocabulary import Background

__all__ = ["draw_background"]


def draw_background(background: Background, rng: Random, pixels: int) -> Image.Image:
    """Return a square RGB picture of the background, `pixels` wide."""
    return _PLACES[background](rng, pixels)


def _gradient(top: Rgb, bottom: Rgb, pixels: int) -> Image.Image:
    ends = Image.new("RGB", (1, 2), top)
    ends.putpixel((0, 1), bottom)
    # Only the middle half of the stretched pair lies between the two colours.
    box = (0.0, 0.5, 1.0, 1.5)
    column = ends.resize((1, pixels), Image.Resampling.BILINEAR, box)
    return column.resize((pixels, pixels), Image.Resampling.NEAREST)


def _sky(rng: Random, pixels: int) -> Image.Image:
    shift = rng.randint(-10, 10)
    return _gradient((112 + shift, 186, 240), (206 + shift, 234, 250), pixels)


def _sunset(rng: Random, pixels: int) -> Image.Image:
    shift = rng.randint(-12, 12)
    return _gradient((150 + shift, 112, 178), (255, 178 + shift, 112), pixels)


def _grass(rng: Random, pixels: int) -> Image.Image:
    picture = _gradient((178, 220, 128), (142, 200, 98), pixels)
    draw, blade = ImageDraw.Draw(picture), pixels / 22
    for _ in range(46):
        x, y = rng.uniform(0, pixels), rng.uniform(0, pixels)
        lean = rng.uniform(-0.4, 0.4) * blade
        draw.line([(x, y), (x + lean, y - blade)], fill=(112, 176, 76), width=max(1, pixels // 110))
    return picture


def _dotted(
    rng: Random, ground: Image.Image, colour: Rgb, sizes: tuple[float, float], count: int
) -> Image.Image:
    draw, pixels = ImageDraw.Draw(ground), ground.width
    for _ in range(count):
        x, y = rng.uniform(0, pixels), rng.uniform(0, pixels)
        r = rng.uniform(*sizes) * pixels
        draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    return ground


def _sand(rng: Random, pixels: int) -> Image.Image:
    ground = _gradient((243, 224, 178), (230, 204, 148), pixels)
    return _dotted(rng, ground, (204, 172, 116), (0.004, 0.009), 50)


def _night(rng: Random, pixels: int) -> Image.Image:
    ground = _gradient((18, 24, 66), (48, 54, 116), pixels)
    return _dotted(rng, ground, (248, 244, 214), (0.003, 0.009), 30)


def _snow(rng: Random, pixels: int) -> Image.Image:
    ground = _gradient((196, 210, 226), (238, 243, 249), pixels)
    return _dotted(rng, ground, (255, 255, 255), (0.008, 0.02), 40)


def _paper(rng: Random, pixels: int) -> Image.Image:
    picture = Image.new("RGB", (pixels, pixels), (253, 252, 246))
    draw, step = ImageDraw.Draw(picture), pixels / 9
    left, top = rng.uniform(0, step), rng.uniform(0, step)
    for i in range(9):
        for x, y in ((left + i * step, None), (None, top + i * step)):
            ends = [(x or 0, y or 0), (x or pixels, y or pixels)]
            draw.line(ends, fill=(150, 196, 214), width=max(1, pixels // 96))
    return picture


def _bricks(rng: Random, pixels: int) -> Image.Image:
    picture = Image.new("RGB", (pixels, pixels), (232, 218, 206))
    draw, width, height = ImageDraw.Draw(picture), pixels / 4, pixels / 9
    gap, start = pixels / 90, rng.uniform(-1, 0) * width
    for row in range(9):
        for column in range(-1, 6):
            x, y = start + (column + 0.5 * (row % 2)) * width, row * height
            shift = rng.randint(-9, 9)
            box = [x + gap, y + gap, x + width - gap, y + height - gap]
            draw.rectangle(box, fill=(206 + shift, 132 + shift, 110 + shift))
    return picture


_PLACES: dict[Background, Callable[[Random, int], Image.Image]] = {
    "sky": _sky,
    "grass": _grass,
    "sand": _sand,
    "night": _night,
    "snow": _snow,
    "sunset": _sunset,
    "paper": _paper,
    "bricks": _bricks,
}
