"""Measuring a model folder on scenes it was never shown, through the package's own pipeline."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from demo_model.pictures import as_stored
from pairdex.demo.captions import PLACES, article, caption_scene
from pairdex.demo.scenes import SCENE_PIXELS, Scene, is_held_out, random_scene
from pairdex.demo.vocabulary import BACKGROUNDS, COLOURS, THINGS
from pairdex.encoders.encoder import Encoder

QUALITY = 85
HELD_OUT = 1_000
CROWD = 10_000


def measure(encoder: Encoder, seed: int) -> dict[str, float]:
    """Return the figures of docs/demo-model.md."""
    rng = Random(seed)
    figures = {}
    scenes = _held_out(rng, HELD_OUT)
    texts = encoder.encode_texts([caption_scene(scene, rng) for scene in scenes])
    for pixels in (48, 96, SCENE_PIXELS, 256):
        images = _encoded(encoder, scenes, rng, pixels)
        cosines = texts @ images.T
        for k in (1, 5, 10):
            figures[f"text to image R@{k}, {pixels} px"] = _recall(cosines, k)
        figures[f"image to text R@1, {pixels} px"] = _recall(cosines.T, 1)
    images = _encoded(encoder, scenes, rng, SCENE_PIXELS)
    figures |= _zero_shot(encoder, scenes, images)
    figures |= _precision(encoder, rng)
    return figures


def _held_out(rng: Random, count: int) -> list[Scene]:
    scenes: dict[Scene, None] = {}
    while len(scenes) < count:
        scene = random_scene(rng)
        if is_held_out(scene):
            scenes[scene] = None
    return list(scenes)


def _encoded(
    encoder: Encoder, scenes: list[Scene], rng: Random, pixels: int
) -> NDArray[np.float32]:
    pictures = [as_stored(scene, rng, pixels=pixels, quality=QUALITY) for scene in scenes]
    return encoder.encode_images(pictures)


def _recall(cosines: NDArray[np.float32], k: int) -> float:
    right = np.diag(cosines)[:, None]
    return float(((cosines > right).sum(1) < k).mean())


def _zero_shot(
    encoder: Encoder, scenes: list[Scene], images: NDArray[np.float32]
) -> dict[str, float]:
    """Name thing, colour and place of the scenes that have one thing."""
    singles = [i for i, scene in enumerate(scenes) if len(scene.items) == 1]
    items = [scenes[i].items[0] for i in singles]
    asked = {
        "thing": ([article(t) for t in THINGS], [THINGS.index(i.thing) for i in items]),
        "thing, bare word": (list(THINGS), [THINGS.index(i.thing) for i in items]),
        "colour": ([f"a {c} thing" for c in COLOURS], [COLOURS.index(i.colour) for i in items]),
        "place": (
            [PLACES[b][0] for b in BACKGROUNDS],
            [BACKGROUNDS.index(scenes[i].background) for i in singles],
        ),
    }
    named = {}
    for what, (texts, truth) in asked.items():
        guesses = (images[singles] @ encoder.encode_texts(texts).T).argmax(1)
        named[f"zero-shot {what}, {len(singles)} scenes"] = float((guesses == truth).mean())
    return named


def _precision(encoder: Encoder, rng: Random) -> dict[str, float]:
    """Return P@10 of queries over pictures of random scenes."""
    scenes = [random_scene(rng) for _ in range(CROWD)]
    images = _encoded(encoder, scenes, rng, SCENE_PIXELS)
    seen = [{(i.thing, i.colour) for i in scene.items} for scene in scenes]
    pairs = [(t, c) for t in THINGS for c in COLOURS]
    both = encoder.encode_texts([article(f"{c} {t}") for t, c in pairs])
    best = np.argsort(-(both @ images.T), axis=1)[:, :10]
    hits = [pair in seen[i] for pair, row in zip(pairs, best, strict=True) for i in row]
    bare = np.argsort(-(encoder.encode_texts(list(THINGS)) @ images.T), axis=1)[:, :10]
    names = [
        thing in {t for t, _ in seen[i]}
        for thing, row in zip(THINGS, bare, strict=True)
        for i in row
    ]
    return {
        'P@10 of "a COLOUR THING", 264 queries': float(np.mean(hits)),
        'P@10 of "THING", 24 queries': float(np.mean(names)),
    }
