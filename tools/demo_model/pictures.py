"""Training pictures: groups of eight scenes that differ in one respect only, through the real pipeline.

Told apart from random others, scenes teach colours and nothing else; the groups teach things,
which colour belongs to which thing, and arrangement.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pairdex.demo.scenes import Item, Scene, draw_scene, is_held_out, random_scene
from pairdex.demo.vocabulary import BACKGROUNDS, COLOURS, THINGS

GROUP = 8
PIXELS = (64, 96, 96, 128, 192, 256)  # sides that scenes are drawn at before they become JPEGs
QUALITIES = (70, 95)
_CHUNK = 256  # groups a process draws at once

Group = list[Scene]


def draw_pool(groups: int, seed: int, size: int) -> tuple[list[Group], NDArray[np.uint8]]:
    """Return groups of scenes and their pictures, shape (groups, 8, size, size, 3)."""
    chunks = range(0, groups, _CHUNK)
    pool: list[Group] = []
    pictures = []
    with ProcessPoolExecutor() as processes:
        seeds = [seed * 1_000_003 + chunk for chunk in chunks]
        counts = [min(_CHUNK, groups - chunk) for chunk in chunks]
        for some, drawn in processes.map(_draw_chunk, seeds, counts, [size] * len(counts)):
            pool += some
            pictures.append(drawn)
    return pool, np.concatenate(pictures)


def as_stored(scene: Scene, rng: Random, *, pixels: int, quality: int) -> Image.Image:
    """Draw a scene, and give it back as it comes out of a JPEG file."""
    file = io.BytesIO()
    draw_scene(scene, rng, pixels=pixels).save(file, "JPEG", quality=quality)
    return Image.open(file)


def _draw_chunk(seed: int, count: int, size: int) -> tuple[list[Group], NDArray[np.uint8]]:
    rng = Random(seed)
    groups = [_group(rng) for _ in range(count)]
    drawn = np.empty((count, GROUP, size, size, 3), np.uint8)
    for i, group in enumerate(groups):
        for j, scene in enumerate(group):
            quality = rng.randint(*QUALITIES)
            picture = as_stored(scene, rng, pixels=rng.choice(PIXELS), quality=quality)
            drawn[i, j] = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return groups, drawn


def _group(rng: Random) -> Group:
    """Return eight different scenes, none of them held out."""
    kind = rng.choices((_other_things, _other_arrangements, _other_places), (60, 25, 15))[0]
    while True:
        group = list(dict.fromkeys(s for s in kind(rng) if not is_held_out(s)))[:GROUP]
        if len(group) == GROUP:
            return group


def _other_things(rng: Random) -> Iterator[Scene]:
    """Yield scenes of the same colours, layout and background."""
    model = random_scene(rng)
    for _ in range(3 * GROUP):
        things = rng.sample(THINGS, len(model.items))
        items = tuple(Item(t, i.colour) for t, i in zip(things, model.items, strict=True))
        yield Scene(items, model.layout, model.background)


def _other_arrangements(rng: Random) -> Iterator[Scene]:
    """Yield scenes of the same two things and two colours; a ninth and tenth replace held-out ones."""
    one, two = rng.sample(THINGS, 2)
    red, blue = rng.sample(COLOURS, 2)
    background = rng.choice(BACKGROUNDS)
    orders = (((one, two), (red, blue)), ((one, two), (blue, red)))
    for (first, second), (a, b) in orders:
        pair = (Item(first, a), Item(second, b))
        for items, layout in product((pair, pair[::-1]), ("left of", "above")):
            yield Scene(items, layout, background)
    for item in (Item(one, red), Item(two, blue), Item(two, red)):
        yield Scene((item,), "large", background)


def _other_places(rng: Random) -> Iterator[Scene]:
    """Yield scenes of the same things in other colours, sizes and places."""
    model = random_scene(rng)
    for _ in range(3 * GROUP):
        other = random_scene(rng)
        items = tuple(Item(i.thing, rng.choice(COLOURS)) for i in model.items)
        layout = other.layout if len(other.items) == len(items) else model.layout
        yield Scene(items, layout, other.background)
