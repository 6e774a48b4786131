"""Small scenes of one or two things, drawn with Pillow from a seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random
from typing import Literal

from PIL import Image, ImageDraw

from pairdex.demo.backgrounds import draw_background
from pairdex.demo.pen import PAINTS, Pen, Rgb, tones_of
from pairdex.demo.things import draw_thing
from pairdex.demo.vocabulary import BACKGROUNDS, COLOURS, THINGS, Background, Colour, Thing

__all__ = ["SCENE_PIXELS", "Item", "Layout", "Scene", "draw_scene", "is_held_out", "random_scene"]

Layout = Literal["small", "large", "left of", "above"]

SCENE_PIXELS = 192  # sharp as a tile on the page; 5,000 pictures are about 25 MB
_OVERSAMPLING = 2  # scenes are drawn this many times larger and then averaged, for smooth edges
_HELD_OUT_SHARE = 16  # one combination in 16 is not used for training
_SINGLE_SHARE = 0.5

# The smallest and largest radius of a thing, as a share of the picture's width.
_RADII: dict[Layout, tuple[float, float]] = {
    "small": (0.15, 0.19),
    "large": (0.33, 0.39),
    "left of": (0.19, 0.225),
    "above": (0.19, 0.225),
}


@dataclass(frozen=True)
class Item:
    """A thing and its colour."""

    thing: Thing
    colour: Colour


@dataclass(frozen=True)
class Scene:
    """One item, small or large; or two items, the first left of or above the second."""

    items: tuple[Item, ...]
    layout: Layout
    background: Background


def random_scene(rng: Random) -> Scene:
    """Return one of about a million combinations; half of the scenes have a single item."""
    count = 1 if rng.random() < _SINGLE_SHARE else 2
    things = rng.sample(THINGS, count)
    items = tuple(Item(thing, rng.choice(COLOURS)) for thing in things)
    layouts: tuple[Layout, ...] = ("small", "large") if count == 1 else ("left of", "above")
    return Scene(items, rng.choice(layouts), rng.choice(BACKGROUNDS))


def is_held_out(scene: Scene) -> bool:
    """Whether this combination was excluded from training, so that the model can be tested on it."""
    return zlib.crc32(repr(scene).encode()) % _HELD_OUT_SHARE == 0


def draw_scene(scene: Scene, rng: Random, *, pixels: int = SCENE_PIXELS) -> Image.Image:
    """Draw a scene; `rng` decides positions and slightly varies shades and backgrounds.

    Returns
    -------
    Image.Image
        RGB, `pixels` wide and high.
    """
    wide = pixels * _OVERSAMPLING
    picture = draw_background(scene.background, rng, wide)
    draw = ImageDraw.Draw(picture)
    least, most = _RADII[scene.layout]
    for item, (x, y) in zip(scene.items, _places(scene.layout, rng), strict=True):
        tones = tones_of(item.colour, _shade(item.colour, rng))
        radius = rng.uniform(least, most) * wide
        draw_thing(item.thing, Pen(draw, x * wide, y * wide, radius, tones))
    return picture.reduce(_OVERSAMPLING)


def _places(layout: Layout, rng: Random) -> list[tuple[float, float]]:
    """Return the items' centres as shares of the picture's width."""
    if layout == "small":
        return [(rng.uniform(0.24, 0.76), rng.uniform(0.24, 0.76))]
    if layout == "large":
        return [(rng.uniform(0.45, 0.55), rng.uniform(0.45, 0.55))]
    near, far = rng.uniform(0.25, 0.28), rng.uniform(0.72, 0.75)
    first, second = rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.65)
    if layout == "left of":
        return [(near, first), (far, second)]
    return [(first, near), (second, far)]


def _shade(colour: Colour, rng: Random) -> Rgb:
    lighter = rng.randint(-8, 8)
    red, green, blue = (
        min(255, max(0, value + lighter + rng.randint(-3, 3))) for value in PAINTS[colour]
    )
    return red, green, blue
